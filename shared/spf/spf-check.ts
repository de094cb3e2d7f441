import type { Clock } from '../clock.ts'
import { domainOf, localPart } from '../mail/address.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'
import type { Envelope, Origin } from '../mail/envelope.ts'
import type { Resolver } from '../resolver.ts'
import { checkHost } from './check-host.ts'
import type { HostQuestion, SpfAnswer, SpfVerdict } from './check-host.ts'

/** Result of check_host() (RFC 7208 §2.6). */
export interface SpfResult {
  readonly result: SpfVerdict
  /** The domain that was checked: of MAIL FROM, or HELO for `<>` (§2.4). */
  readonly domain?: string
  /** `smtp.mailfrom` or `smtp.helo` of RFC 8601 §2.7.2. */
  readonly identity: 'mailfrom' | 'helo'
  readonly value: string
  /** Of a `fail`: what the domain has to say about it (§6.2). Printable ASCII of a stranger. */
  readonly explanation?: string
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

const keptForMs = 60_000
const maxKept = 10_000

/** SPF, each answer kept for a minute where it depends on nothing but client, domain and HELO. */
export function createSpfCheck(parts: {
  readonly resolver: Omit<Resolver, 'close'>
  readonly clock: Clock
  /** Our name, for %{r}. */
  readonly hostname: string
}): SpfCheck {
  const { resolver, clock, hostname } = parts
  const kept = new Map<string, { readonly answer: SpfAnswer; readonly until: number }>()

  async function ask(asked: Pick<HostQuestion, 'client' | 'domain' | 'localPart' | 'helo'>): Promise<SpfAnswer> {
    const key = `${asked.client} ${asked.domain} ${asked.helo}`
    const known = kept.get(key)
    if (known !== undefined && known.until > clock.now()) return known.answer
    const answer = await checkHost({ ...asked, receiver: hostname, atMs: clock.now() }, resolver)
    if (!answer.personal && answer.result !== 'temperror') {
      if (kept.size >= maxKept) kept.clear()
      kept.set(key, { answer, until: clock.now() + keptForMs })
    }
    return answer
  }

  return {
    async check(envelope) {
      const subject = subjectOf(envelope)
      const { domain } = subject
      const { address: client, helo = '' } = envelope.origin
      if (client === undefined || domain === undefined) return { ...subject, result: 'none' }
      const local = envelope.reversePath === null ? '' : localPart(envelope.reversePath)
      const { result, explanation } = await ask({ client, domain, helo, ...(local === '' ? {} : { localPart: local }) })
      return { ...subject, result, ...(explanation === undefined ? {} : { explanation }) }
    },
    late: (envelope) => ({ ...subjectOf(envelope), result: 'temperror' }),
  }
}

/** MAIL FROM, or HELO for `<>`; without a domain there is nothing to check. */
function subjectOf({ origin, reversePath }: SpfQuestion): Omit<SpfResult, 'result'> {
  const { helo = '' } = origin
  const domain = reversePath === null ? (asciiDomain(helo) ?? '') : domainOf(reversePath)
  const about =
    reversePath === null
      ? ({ identity: 'helo', value: helo } as const)
      : ({ identity: 'mailfrom', value: reversePath } as const)
  return domain === '' || domain.startsWith('[') ? about : { ...about, domain }
}
