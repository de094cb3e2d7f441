import type { JournalEntry } from '../journal.ts'

/** What the filter said about a message, once. */
export interface FilterVerdict {
  readonly at: number
  /** `clean`, `tag`, `quarantine` ... */
  readonly verdict: string
  readonly score?: number
  readonly reason?: string
  /** The heaviest first. */
  readonly tests: readonly TestResult[]
  readonly authentication: readonly AuthenticationResult[]
}

export interface TestResult {
  readonly name: string
  readonly score: number
  readonly text: string
}

/** As Authentication-Results has it (RFC 8601): `spf=pass smtp.mailfrom=example.org`. */
export interface AuthenticationResult {
  readonly method: string
  readonly result: string
  readonly detail: string
}

/** Those the story of a message tells, in the order of time. */
export function verdictsOf(story: readonly JournalEntry[]): readonly FilterVerdict[] {
  return story
    .filter(({ event }) => event === 'filtered')
    .map(({ at, verdict, score, reason, symbols, authentication }) => ({
      at,
      verdict: typeof verdict === 'string' ? verdict : '?',
      ...(typeof score === 'number' ? { score } : {}),
      ...(typeof reason === 'string' ? { reason } : {}),
      tests: texts(symbols)
        .map(testOf)
        .toSorted((one, other) => Math.abs(other.score) - Math.abs(one.score)),
      authentication: typeof authentication === 'string' ? resultsOf(authentication) : [],
    }))
}

/** `NAME score text`, as the filter writes it. */
function testOf(symbol: string): TestResult {
  const [, name = symbol, score = '0', text = ''] = /^(\S+) (-?\d+(?:\.\d+)?)(?: ([^]*))?$/.exec(symbol) ?? []
  return { name, score: Number(score), text }
}

function resultsOf(text: string): readonly AuthenticationResult[] {
  return text.split('; ').flatMap((finding) => {
    const [, method = '', result = '', detail = ''] = /^([\w.-]+)=(\S+)\s*([^]*)$/.exec(finding.trim()) ?? []
    return method === '' ? [] : [{ method, result, detail }]
  })
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}
