import type { Measurement } from './measure.ts'

const heads = [
  'series',
  'system',
  'accepted/s',
  'arrived/s',
  'CPU s per 1,000',
  'peak PSS',
  'each exactly once',
  'rate : Postfix',
  'CPU : Postfix',
]

/** A markdown table; the ratios compare with Postfix in the same series of the same run. */
export function markdownTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map((one) => {
    const peer = measurements.find((other) => other.system === 'postfix' && other.series === one.series)
    const ratio = (value: (measurement: Measurement) => number) =>
      peer === undefined || peer === one ? '' : (value(one) / value(peer)).toFixed(2)
    return [
      one.series,
      one.system,
      Math.round(one.acceptedPerSecond).toString(),
      Math.round(one.arrivedPerSecond).toString(),
      one.cpuSecondsPer1000.toFixed(2),
      `${Math.round(one.peakPssBytes / 1024 / 1024)} MB`,
      one.exactlyOnce,
      ratio((measurement) => measurement.arrivedPerSecond),
      ratio((measurement) => measurement.cpuSecondsPer1000),
    ]
  })
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
