/** How long something lasts, in at most two units that fit together: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`
  const seconds = Math.round(durationMs / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return pair(Math.trunc(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 1_440) return pair(Math.trunc(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.trunc(minutes / 60)
  return pair(Math.trunc(hours / 24), 'd', hours % 24, 'h')
}

/** Octets with a binary prefix: `512 B`, `4.2 KiB`, `1.3 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes
  let unit = 'B'
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1023.95) break
    value /= 1024
    unit = larger
  }
  return `${value.toFixed(1)} ${unit}`
}

/** How often: `0/s`, `12/min`, `3.4/s`, `250/s`. */
export function formatRate(perSecond: number): string {
  if (perSecond <= 0) return '0/s'
  if (perSecond < 1) return `${Math.max(1, Math.round(perSecond * 60))}/min`
  return perSecond < 10 ? `${perSecond.toFixed(1)}/s` : `${Math.round(perSecond)}/s`
}

/** `2026-11-21 03:26:07.125Z`: sorts as text, the same in every time zone. */
export function formatInstant(at: number): string {
  return new Date(at).toISOString().replace('T', ' ')
}

/** Without milliseconds. */
export function formatSecond(at: number): string {
  return formatInstant(at).replace(/\.\d+Z$/, 'Z')
}

/** `1 message`, `3 messages`. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
}
