import type { Configuration } from '../../shared/config/model.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StsPolicies } from '../../shared/mta-sts/policies.ts'
import { namesHost } from '../../shared/mta-sts/policy.ts'
import type { Resolver } from '../../shared/resolver.ts'
import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'
import type { TlsSession } from '../../shared/smtp-client/tls-session.ts'
import type { MailHost } from './mail-hosts.ts'

/** What the policy of a domain asks of the way to one of its hosts (RFC 8461 §5). */
export interface StsDemand {
  readonly domain: string
  /** `testing`: what fails is told, and the mail goes all the same. */
  readonly mode: 'enforce' | 'testing'
  /** The policy names the host. */
  readonly named: boolean
}

/** The demand on each host of the domain; undefined: nothing is asked, or `mta-sts off`. */
export type DemandOn = (host: MailHost) => StsDemand

export interface PolicyRequest {
  readonly configuration: Configuration
  readonly policies: StsPolicies
  readonly resolver: Resolver
}

export async function domainPolicy(domain: string, request: PolicyRequest): Promise<DemandOn | undefined> {
  const { mode, port } = request.configuration.pipeline.mtaSts
  if (mode === 'off' || domain.startsWith('[')) return undefined
  const name = asciiDomain(domain.replace(/\.$/, ''))
  if (name === undefined) return undefined
  const policy = await request.policies.of(name, { resolver: request.resolver, port })
  if (policy === undefined) return undefined
  const enforced = policy.mode === 'enforce' && mode === 'opportunistic'
  return (host) => ({ domain: name, mode: enforced ? 'enforce' : 'testing', named: namesHost(policy, host.name) })
}

/** Not even for a moment: a host that the policy does not name may be an attacker's. */
export function mayUse(demand: StsDemand | undefined): boolean {
  return demand === undefined || demand.named || demand.mode === 'testing'
}

/** STARTTLS, and a certificate that is the host's (RFC 8461 §4.2), also where the action is laxer. */
export function withDemand(tls: TlsPolicy, demand: StsDemand | undefined): TlsPolicy {
  return demand?.mode === 'enforce' ? { ...tls, mode: 'required', verify: true } : tls
}

/** A demand that was not met. */
export interface PolicyFailure {
  readonly domain: string
  readonly mode: StsDemand['mode']
  /** The host it happened with; absent: no host was left to try. */
  readonly remoteMta?: string
  readonly reason: string
}

/**
 * Why a session does not meet what the policy asks; undefined when it does. With `enforce` it cannot come to that: no session is
 * opened then.
 */
export function unmet({ named }: StsDemand, tls: TlsSession | undefined): string | undefined {
  if (!named) return 'the policy does not name the host'
  if (tls === undefined) return 'no TLS'
  return tls.distrust === undefined ? undefined : `the certificate is not trusted: ${tls.distrust}`
}

/** A change on their side or the end of an attack mends it: the mail waits. */
export function noHostNamed(domain: string, hosts: readonly MailHost[]): Reply {
  const names = hosts.map((host) => host.name).join(', ')
  const text = `No mail server of ${domain} is one that its MTA-STS policy names (found: ${names})`
  return { code: 451, enhanced: '4.7.0', text }
}
