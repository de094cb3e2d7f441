import { formatDuration } from '../../../shared/report/units.ts'

/** Also of less than a millisecond: `0.4 ms`, `12 ms`, `1.5 s`. */
export function formatMs(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return ms < 10_000 ? `${Math.round(ms / 100) / 10} s` : formatDuration(Math.round(ms))
}
