/** What a domain asks of those who send mail to it (RFC 8461 §3.2). */
export interface StsPolicy {
  /** `testing`: failures are told and do not keep mail back. `none`: nothing is asked any more. */
  readonly mode: 'enforce' | 'testing' | 'none'
  /** Names of its mail hosts in lower case; `*.` in front stands for one label. */
  readonly mx: readonly string[]
  /** How long it holds from the moment it was fetched. */
  readonly maxAgeMs: number
}

/** The text is no policy. */
export class PolicyFault extends Error {
  override readonly name = 'PolicyFault'
}

/** Of RFC 8461 §3.2: about a year. */
const longestAgeSeconds = 31_557_600

/**
 * Reads mta-sts.txt. Fields that are not known are passed over, of one that is there twice the first counts, but for `mx` (§3.2).
 * @throws PolicyFault
 */
export function parsePolicy(text: string): StsPolicy {
  const first = new Map<string, string>()
  const mx: string[] = []
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trimEnd()
    const value = line.slice(colon + 1).trim()
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/.test(name))
      throw new PolicyFault(`the policy has a line that is no field: ${line.slice(0, 80)}`)
    if (name === 'mx') mx.push(mxPattern(value))
    else if (!first.has(name)) first.set(name, value)
  }
  if (first.get('version') !== 'STSv1') throw new PolicyFault('the policy is not of version STSv1')
  const mode = modeOf(first.get('mode'))
  if (mx.length === 0 && mode !== 'none') throw new PolicyFault('the policy names no mx')
  return { mode, mx, maxAgeMs: maxAgeSeconds(first.get('max_age')) * 1000 }
}

/** Whether the policy names this host (RFC 8461 §4.1). @param host in lower case, without final dot */
export function namesHost({ mx }: StsPolicy, host: string): boolean {
  const dot = host.indexOf('.')
  const anyOf = dot > 0 ? `*${host.slice(dot)}` : undefined
  return mx.some((pattern) => pattern === host || pattern === anyOf)
}

function modeOf(text: string | undefined): StsPolicy['mode'] {
  if (text === 'enforce' || text === 'testing' || text === 'none') return text
  throw new PolicyFault(text === undefined ? 'the policy has no mode' : `the policy has an unknown mode: ${text}`)
}

function maxAgeSeconds(text: string | undefined): number {
  if (text === undefined || !/^\d{1,10}$/.test(text)) throw new PolicyFault('the policy has no valid max_age')
  return Math.min(Number(text), longestAgeSeconds)
}

function mxPattern(text: string): string {
  const pattern = text.toLowerCase().replace(/\.$/, '')
  const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
  if (new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`).test(pattern)) return pattern
  throw new PolicyFault(`the policy has an mx that is no host name: ${text.slice(0, 80)}`)
}
