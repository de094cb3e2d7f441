import { isIPv6 } from 'node:net'

import { spf } from 'mailauth/lib/spf/index.js'

import type { Clock } from '../clock.ts'
import { domainOf } from '../mail/address.ts'
import type { Envelope, Origin } from '../mail/envelope.ts'
import type { LookUp, MxRecord, Resolver } from '../resolver.ts'

export type SpfVerdict = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror'

/** Result of check_host() (RFC 7208 §2.6). */
export interface SpfResult {
  readonly result: SpfVerdict
  /** The domain that was checked: of MAIL FROM, or HELO for `<>` (§2.4). */
  readonly domain?: string
  /** `smtp.mailfrom` or `smtp.helo` of RFC 8601 §2.7.2. */
  readonly identity: 'mailfrom' | 'helo'
  readonly value: string
}

/** What SPF looks at in an envelope. */
export interface SpfQuestion extends Pick<Envelope, 'reversePath'> {
  readonly origin: Pick<Origin, 'address' | 'helo'>
}

export interface SpfCheck {
  check(envelope: SpfQuestion): Promise<SpfResult>
  /** The result when DNS did not answer in time. */
  late(envelope: SpfQuestion): SpfResult
}

type Dns = Omit<Resolver, 'close'>

const keptForMs = 60_000
const maxKept = 10_000

/**
 * SPF by mailauth over our resolver. Results are kept for a minute where they depend on nothing but client, domain and
 * HELO (no macros in the records).
 */
export function createSpfCheck(parts: {
  readonly resolver: Dns
  readonly clock: Clock
  /** Our name, for %{r}. */
  readonly hostname: string
}): SpfCheck {
  const { resolver, clock, hostname } = parts
  const kept = new Map<string, { readonly result: SpfVerdict; readonly until: number }>()

  async function verdict(client: string, sender: string, domain: string, helo: string): Promise<SpfVerdict> {
    const key = `${client} ${domain} ${helo}`
    const known = kept.get(key)
    if (known !== undefined && known.until > clock.now()) return known.result
    const { result, keepable } = await evaluate(resolver, { client, sender, helo, hostname })
    if (keepable) {
      if (kept.size >= maxKept) kept.clear()
      kept.set(key, { result, until: clock.now() + keptForMs })
    }
    return result
  }

  return {
    async check(envelope) {
      const subject = subjectOf(envelope)
      const { address, helo = '' } = envelope.origin
      if (address === undefined || subject.domain === undefined) return { ...subject, result: 'none' }
      const sender = envelope.reversePath ?? `postmaster@${helo}`
      return { ...subject, result: await verdict(address, sender, subject.domain, helo) }
    },
    late: (envelope) => ({ ...subjectOf(envelope), result: 'temperror' }),
  }
}

/** MAIL FROM, or HELO for `<>`; without a domain there is nothing to check. */
function subjectOf({ origin, reversePath }: SpfQuestion): Omit<SpfResult, 'result'> {
  const { helo = '' } = origin
  const domain = reversePath === null ? helo.toLowerCase() : domainOf(reversePath)
  const about =
    reversePath === null
      ? ({ identity: 'helo', value: helo } as const)
      : ({ identity: 'mailfrom', value: reversePath } as const)
  return domain === '' || domain.startsWith('[') ? about : { ...about, domain }
}

interface Evaluation {
  readonly client: string
  readonly sender: string
  readonly helo: string
  readonly hostname: string
}

async function evaluate(
  resolver: Dns,
  question: Evaluation,
): Promise<{ readonly result: SpfVerdict; readonly keepable: boolean }> {
  const dns = new SpfDns(resolver, isIPv6(question.client) ? 'AAAA' : 'A')
  const answer = await spf({
    ip: question.client,
    sender: question.sender,
    helo: question.helo,
    mta: question.hostname,
    resolver: ((name: string, type: string) => dns.ask(name, type)) as NonNullable<
      Parameters<typeof spf>[0]['resolver']
    >,
  })
  const result = verdictOf(answer.status.result)
  // mailauth goes on behind an include or redirect whose look-up failed, and may then say fail (RFC 7208 §5: temperror).
  if (dns.failed && result !== 'pass' && result !== 'permerror') return { result: 'temperror', keepable: false }
  return { result, keepable: !dns.failed && !dns.sawMacro && result !== 'temperror' }
}

/** The look-ups of one check. What mailauth expects: arrays, or an error with a code of c-ares. */
class SpfDns {
  readonly #resolver: Dns
  readonly #addressType: 'A' | 'AAAA'
  #failed = false
  #sawMacro = false

  constructor(resolver: Dns, addressType: 'A' | 'AAAA') {
    this.#resolver = resolver
    this.#addressType = addressType
  }

  /** A look-up failed that decides. Not PTR, whose failure is no match (RFC 7208 §5.5), nor addresses of the other family. */
  get failed(): boolean {
    return this.#failed
  }

  get sawMacro(): boolean {
    return this.#sawMacro
  }

  async ask(name: string, type: string): Promise<readonly string[] | readonly string[][] | readonly MxRecord[]> {
    switch (type) {
      case 'TXT': {
        const records = this.#records(await this.#resolver.txt(name), type)
        if (records.some((record) => record.startsWith('v=spf1') && record.includes('%'))) this.#sawMacro = true
        return records.map((record) => [record])
      }
      case 'A':
        return this.#records(await this.#resolver.a(name), type)
      case 'AAAA':
        return this.#records(await this.#resolver.aaaa(name), type)
      case 'MX':
        // mailauth sorts what it gets: not the resolver's own array.
        return [...this.#records(await this.#resolver.mx(name), type)]
      case 'PTR':
        return this.#records(await this.#resolver.ptr(addressOf(name)), type)
      default:
        throw new Error(`SPF asks for no ${type}`)
    }
  }

  #records<T>(answer: LookUp<T>, type: string): readonly T[] {
    switch (answer.kind) {
      case 'found':
        return answer.records
      case 'absent':
        throw Object.assign(new Error('absent'), { code: answer.name ? 'ENOTFOUND' : 'ENODATA' })
      case 'failed':
        if (type === 'PTR') return []
        if (type !== otherFamily(this.#addressType)) this.#failed = true
        throw Object.assign(new Error('look-up failed', { cause: answer.error }), { code: 'ETIMEOUT' })
    }
  }
}

function otherFamily(type: 'A' | 'AAAA'): 'A' | 'AAAA' {
  return type === 'A' ? 'AAAA' : 'A'
}

/** `7.2.0.192.in-addr.arpa` is 192.0.2.7. */
function addressOf(name: string): string {
  const labels = name.toLowerCase().split('.')
  if (labels.at(-2) === 'in-addr') return labels.slice(0, 4).reverse().join('.')
  const digits = labels.slice(0, 32).reverse().join('')
  return (digits.match(/.{4}/g) ?? []).join(':')
}

function verdictOf(result: string): SpfVerdict {
  switch (result) {
    case 'pass':
    case 'fail':
    case 'softfail':
    case 'neutral':
    case 'none':
    case 'permerror':
      return result
    default:
      return 'temperror'
  }
}
