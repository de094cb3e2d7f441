import { withTimeLimit } from '../deadline.ts'
import type { LookUp, Resolver } from '../resolver.ts'

/** The questions of restrictions. Each answer is there within `limitMs`: what is not known by then counts as failed. */
export type Dns = Pick<Resolver, 'a' | 'aaaa' | 'mx' | 'txt'>

/** A restriction holds up its session no longer. */
const defaultLimitMs = 10_000

export function boundedDns(resolver: Dns, limitMs = defaultLimitMs): Dns {
  return {
    a: (name) => within(limitMs, resolver.a(name)),
    aaaa: (name) => within(limitMs, resolver.aaaa(name)),
    mx: (name) => within(limitMs, resolver.mx(name)),
    txt: (name) => within(limitMs, resolver.txt(name)),
  }
}

async function within<T>(limitMs: number, answer: Promise<LookUp<T>>): Promise<LookUp<T>> {
  try {
    return await withTimeLimit(limitMs, 'no answer', answer)
  } catch (error) {
    return { kind: 'failed', error: error as Error }
  }
}

/** `null-mx`: the domain says that it has no mail at all (RFC 7505). `failed`: nobody knows now. */
export type MailDomain = 'exists' | 'absent' | 'null-mx' | 'failed'

/** Whether mail can be sent to a domain: MX, else A or AAAA (RFC 5321 §5.1). */
export async function findMailDomain(dns: Dns, domain: string): Promise<MailDomain> {
  const mx = await dns.mx(domain)
  if (mx.kind === 'failed') return 'failed'
  if (mx.kind === 'found') {
    const none = mx.records.length === 1 && ['', '.'].includes(mx.records[0]?.exchange ?? '')
    return none ? 'null-mx' : 'exists'
  }
  return mx.name ? 'absent' : findAddress(dns, domain)
}

/** Whether a name has an address. */
async function findAddress(dns: Dns, name: string): Promise<MailDomain> {
  const [four, six] = await Promise.all([dns.a(name), dns.aaaa(name)])
  if (four.kind === 'found' || six.kind === 'found') return 'exists'
  return four.kind === 'failed' || six.kind === 'failed' ? 'failed' : 'absent'
}
