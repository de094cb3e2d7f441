/** A date-time of RFC 3339 §5.6 with its offset. */
const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i

/**
 * Epoch ms of `HOLDFOR=seconds` or `HOLDUNTIL=date-time` (RFC 4865 §5). `undefined`: it is none, or farther away than is offered. A
 * time that has passed is now.
 */
export function releaseTime(
  keyword: 'HOLDFOR' | 'HOLDUNTIL',
  value: string,
  { maxMs, nowAt }: { readonly maxMs: number; readonly nowAt: number },
): number | undefined {
  const at = keyword === 'HOLDFOR' ? secondsFrom(nowAt, value) : instant(value)
  if (at === undefined || at > nowAt + maxMs) return undefined
  return Math.max(at, nowAt)
}

function secondsFrom(nowAt: number, value: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(value) ? nowAt + Number(value) * 1_000 : undefined
}

function instant(value: string): number | undefined {
  const at = dateTime.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}
