import type { Configuration } from '../../shared/config/model.ts'
import { isUsable } from '../../shared/dns/tlsa.ts'
import type { TlsaRecord } from '../../shared/dns/tlsa.ts'
import type { ValidatingResolver } from '../../shared/dns/validating-resolver.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StsPolicies } from '../../shared/mta-sts/policies.ts'
import { namesHost } from '../../shared/mta-sts/policy.ts'
import type { StsPolicy } from '../../shared/mta-sts/policy.ts'
import type { Resolver } from '../../shared/resolver.ts'
import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'
import type { TlsSession } from '../../shared/smtp-client/tls-session.ts'
import type { MailHost } from './mail-hosts.ts'

/** What a domain asks of the way to one of its hosts. */
export type Demand = StsDemand | DaneDemand

/** By its policy (RFC 8461 §5). */
export interface StsDemand {
  readonly policy: 'mta-sts'
  readonly domain: string
  /** `testing`: what fails is told, and the mail goes all the same. */
  readonly mode: 'enforce' | 'testing'
  /** The policy names the host. */
  readonly named: boolean
  /** As the domain has it; `mode` may be ours. */
  readonly published: StsPolicy
}

/** By the host's TLSA records (RFC 7672 §2.2). */
export interface DaneDemand {
  readonly policy: 'dane'
  readonly domain: string
  readonly mode: 'enforce'
  /** One of them must fit; empty: TLS is demanded, and nobody can tell by what certificate. `failed`: they could not be had. */
  readonly records: readonly TlsaRecord[] | 'failed'
  /** The name that has them: the host's, or what it is an alias of. */
  readonly base: string
}

export interface PolicyRequest {
  readonly configuration: Configuration
  readonly policies: StsPolicies
  readonly resolver: Resolver
  /** Absent: `dane off`. */
  readonly validating?: ValidatingResolver
  /** The text of a file. */
  readonly read: (path: string) => Promise<string>
}

export type HostWithDemand = MailHost & { readonly demand?: Demand }

/** The hosts with what is asked of each. DANE goes before MTA-STS: a host that has TLSA records is held against these (RFC 8461 §2). */
export async function withDemands(
  domain: string,
  hosts: readonly MailHost[],
  request: PolicyRequest,
): Promise<readonly HostWithDemand[]> {
  const { mtaSts } = request.configuration.pipeline
  if (mtaSts.mode === 'off' && request.validating === undefined) return hosts
  const name = policyDomain(domain)
  if (name === undefined) return hosts
  const [policy, dane] = await Promise.all([stsPolicy(name, request), daneDemands(name, hosts, request)])
  return hosts.map((host, index) => {
    const demand = dane[index] ?? stsDemand(name, host, policy, mtaSts.mode)
    return demand === undefined ? host : { ...host, demand }
  })
}

/** As its policies are looked up; undefined for an address literal. */
export function policyDomain(domain: string): string | undefined {
  return domain.startsWith('[') ? undefined : asciiDomain(domain.replace(/\.$/, ''))
}

/** The policy in force. */
async function stsPolicy(domain: string, request: PolicyRequest): Promise<StsPolicy | undefined> {
  const { mtaSts, tlsCa } = request.configuration.pipeline
  const { mode, port } = mtaSts
  if (mode === 'off') return undefined
  const ca = tlsCa === undefined ? {} : { ca: await request.read(tlsCa) }
  return request.policies.of(domain, { resolver: request.resolver, port, ...ca })
}

/** @param ours `testing`: no policy is enforced, whatever it says */
function stsDemand(
  domain: string,
  host: MailHost,
  published: StsPolicy | undefined,
  ours: Configuration['pipeline']['mtaSts']['mode'],
): StsDemand | undefined {
  if (published === undefined) return undefined
  const mode = published.mode === 'enforce' && ours !== 'testing' ? 'enforce' : 'testing'
  return { policy: 'mta-sts', domain, mode, named: namesHost(published, host.name), published }
}

/** One for each host, in order. Only an unbroken chain of signatures counts: MX, address, TLSA (RFC 7672 §2.2.1, §2.2.2). */
async function daneDemands(
  domain: string,
  hosts: readonly MailHost[],
  { validating, configuration }: PolicyRequest,
): Promise<readonly (DaneDemand | undefined)[]> {
  if (validating === undefined) return []
  const mx = await validating.mx(domain)
  if (mx.kind === 'failed')
    return hosts.map(({ name }) => ({ policy: 'dane', domain, mode: 'enforce', records: 'failed', base: name }))
  if (!mx.authenticated) return []
  const port = configuration.pipeline.relayPort
  return Promise.all(hosts.map((host) => daneDemand(domain, host, validating, port)))
}

async function daneDemand(
  domain: string,
  { name }: MailHost,
  validating: ValidatingResolver,
  port: number,
): Promise<DaneDemand | undefined> {
  const addresses = await Promise.all([validating.aaaa(name), validating.a(name)])
  // Who does not sign addresses has no TLSA records; some of their servers break over the question (RFC 7672 §2.2.2).
  const signed = addresses.find((answer) => answer.kind === 'found' && answer.authenticated)
  if (signed === undefined) return undefined
  // An alias first stands for what it leads to, then for itself (RFC 7672 §2.2.2).
  for (const base of new Set([signed.owner ?? name, name])) {
    const found = await validating.tlsa(`_${port}._tcp.${base}`)
    const demand = { policy: 'dane', domain, mode: 'enforce', base } as const
    if (found.kind === 'failed') return { ...demand, records: 'failed' }
    if (found.kind === 'found' && found.authenticated) return { ...demand, records: found.records.filter(isUsable) }
  }
  return undefined
}

/** Not even for a moment: such a host may be an attacker's. */
export function mayUse({ demand }: HostWithDemand): boolean {
  if (demand?.policy === 'dane') return demand.records !== 'failed'
  return demand === undefined || demand.named || demand.mode === 'testing'
}

/** TLS to a host by the action, and at least what its domain demands (RFC 8461 §4.2, RFC 7672 §2.2): nothing before 1.2. */
export function withDemand(policy: TlsPolicy, { name, demand }: HostWithDemand): TlsPolicy {
  if (demand === undefined || demand.mode === 'testing') return policy
  const tls = policy.minVersion === 'TLSv1.3' ? policy : { ...policy, minVersion: 'TLSv1.2' as const }
  if (demand.policy === 'mta-sts') return { ...tls, mode: 'required', verify: true }
  const { records, base, domain } = demand
  if (records === 'failed' || records.length === 0) return { ...tls, mode: 'required' }
  return { ...tls, mode: 'required', verify: false, dane: { records, names: [base, name, domain] } }
}

/** What a connection was held against, so that no other is taken for it. */
export function demandKey(demand: Demand | undefined): string {
  if (demand === undefined || demand.mode === 'testing') return ''
  return demand.policy === 'dane' && demand.records.length === 0 ? 'tls' : demand.policy
}

/** A demand that was not met. */
export interface PolicyFailure {
  readonly policy: Demand['policy']
  readonly domain: string
  readonly mode: Demand['mode']
  /** The host it happened with; absent: no host was left to try. */
  readonly remoteMta?: string
  readonly reason: string
}

/**
 * Why a session does not meet what is asked; undefined when it does. With `enforce` it cannot come to that: no session is
 * opened then.
 */
export function unmet(demand: Demand, tls: TlsSession | undefined): string | undefined {
  if (demand.policy === 'dane') return undefined
  if (!demand.named) return 'the policy does not name the host'
  if (tls === undefined) return 'no TLS'
  return tls.distrust === undefined ? undefined : `the certificate is not trusted: ${tls.distrust}`
}

/** `the MTA-STS policy of far.test`, for who reads a bounce. */
export function demandName({ policy, domain }: Demand): string {
  return policy === 'dane' ? `the TLSA records (DANE) of ${domain}` : `the MTA-STS policy of ${domain}`
}

/** No host may be used. A change on their side or the end of an attack mends it: the mail waits. */
export function noHostLeft(
  domain: string,
  hosts: readonly HostWithDemand[],
): PolicyFailure & { readonly reply: Reply } {
  const names = hosts.map((host) => host.name).join(', ')
  const byDane = hosts.some(({ demand }) => demand?.policy === 'dane')
  const reply: Reply = byDane
    ? {
        code: 451,
        enhanced: '4.4.3',
        text: `The TLSA records of the mail servers of ${domain} could not be looked up (${names})`,
      }
    : {
        code: 451,
        enhanced: '4.7.0',
        text: `No mail server of ${domain} is one that its MTA-STS policy names (found: ${names})`,
      }
  return { policy: byDane ? 'dane' : 'mta-sts', domain, mode: 'enforce', reason: reply.text, reply }
}
