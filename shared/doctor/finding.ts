/** What one check of a domain found. */
export interface Finding {
  readonly check: CheckName
  /** `absent`: it is not there and need not be. `unknown`: it could not be found out now. */
  readonly verdict: 'good' | 'wrong' | 'absent' | 'unknown'
  /** One sentence. */
  readonly text: string
  /** A line for the zone file that mends it. */
  readonly publish?: string
}

export type CheckName =
  | 'mx'
  | 'address'
  | 'reverse'
  | 'spf'
  | 'dkim'
  | 'dmarc'
  | 'mta-sts'
  | 'tls-rpt'
  | 'tlsa'
  | 'incoming'
  | 'outgoing'
  | 'lists'

/** Findings of one check. */
export interface Findings {
  good(text: string): void
  wrong(text: string, publish?: string): void
  absent(text: string, publish?: string): void
  unknown(text: string): void
}

export function findingsOf(check: CheckName, into: Finding[]): Findings {
  const say = (verdict: Finding['verdict'], text: string, publish?: string): void => {
    into.push({ check, verdict, text, ...(publish === undefined ? {} : { publish }) })
  }
  return {
    good: (text) => say('good', text),
    wrong: (text, publish) => say('wrong', text, publish),
    absent: (text, publish) => say('absent', text, publish),
    unknown: (text) => say('unknown', text),
  }
}
