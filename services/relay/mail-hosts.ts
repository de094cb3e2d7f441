import { isIP } from 'node:net'

import type { Reply } from '../../shared/mail/reply.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { LookUp, MxRecord, Resolver } from '../../shared/resolver.ts'

/** A host that takes mail for a domain, with its addresses: IPv6 first. */
export interface MailHost {
  readonly name: string
  readonly preference: number
  readonly addresses: readonly string[]
}

export type MailHosts =
  | { readonly kind: 'found'; readonly hosts: readonly MailHost[] }
  | { readonly kind: 'refused'; readonly reply: Reply }

export interface MailHostOptions {
  readonly resolver: Pick<Resolver, 'mx' | 'a' | 'aaaa'>
  /** Whether this host at this address is ourselves: it and all of no better preference are left out (RFC 5321 §5.1). */
  readonly isOurs: (host: Pick<MailHost, 'name' | 'addresses'>) => boolean
  /** 0 to below 1; decides the order of equal preference. */
  readonly random: () => number
}

/** More exchanges than this are not looked at. */
const maxHosts = 20

/** The hosts for a domain or an address literal, best first, those of equal preference shuffled. */
export async function findMailHosts(domain: string, options: MailHostOptions): Promise<MailHosts> {
  const literal = literalAddress(domain)
  const exchanges = literal === undefined ? await exchangesOf(domain, options) : undefined
  if (exchanges !== undefined && exchanges.kind === 'refused') return exchanges
  const resolved =
    literal === undefined
      ? await Promise.all((exchanges?.exchanges ?? []).map((exchange) => withAddresses(exchange, options.resolver)))
      : [{ name: literal, preference: 0, addresses: [literal], failed: false }]
  const ours = resolved.filter((host) => options.isOurs(host))
  const limit = Math.min(...ours.map((host) => host.preference))
  const better = resolved.filter((host) => host.preference < limit)
  if (ours.length > 0 && better.length === 0) return refused(looped(domain))
  const hosts = better.filter((host) => host.addresses.length > 0)
  if (hosts.length > 0) return { kind: 'found', hosts }
  return refused(better.some((host) => host.failed) ? dnsFailed(domain) : noAddress(domain))
}

type Exchanges =
  | { readonly kind: 'exchanges'; readonly exchanges: readonly MxRecord[] }
  | { readonly kind: 'refused'; readonly reply: Reply }

async function exchangesOf(domain: string, { resolver, random }: MailHostOptions): Promise<Exchanges> {
  const answer = await resolver.mx(domain)
  switch (answer.kind) {
    case 'failed':
      return refused(dnsFailed(domain))
    case 'absent':
      if (answer.name) return refused(noDomain(domain))
      // No MX: the domain's own address is an MX of preference 0 (RFC 5321 §5.1).
      return { kind: 'exchanges', exchanges: [{ exchange: domain, priority: 0 }] }
    case 'found': {
      // RFC 7505, and what some publish in its place.
      const usable = answer.records.filter(({ exchange }) => !/^\.?$|^localhost\.?$/i.test(exchange))
      if (usable.length === 0) return refused(nullMx(domain))
      return { kind: 'exchanges', exchanges: ordered(usable, random).slice(0, maxHosts) }
    }
  }
}

function ordered(records: readonly MxRecord[], random: () => number): readonly MxRecord[] {
  return records
    .map((record) => ({ record, lot: random() }))
    .sort((one, other) => one.record.priority - other.record.priority || one.lot - other.lot)
    .map(({ record }) => record)
}

async function withAddresses(
  { exchange, priority }: MxRecord,
  resolver: MailHostOptions['resolver'],
): Promise<MailHost & { readonly failed: boolean }> {
  const name = exchange.replace(/\.$/, '').toLowerCase()
  const found = await addressesOf(name, resolver)
  return { name, preference: priority, ...found }
}

/** IPv6 first, then IPv4. `failed`: a look-up had no answer, so there may be more. */
export async function addressesOf(
  name: string,
  resolver: Pick<Resolver, 'a' | 'aaaa'>,
): Promise<{ readonly addresses: readonly string[]; readonly failed: boolean }> {
  if (isIP(name) !== 0) return { addresses: [name], failed: false }
  const answers: readonly LookUp<string>[] = await Promise.all([resolver.aaaa(name), resolver.a(name)])
  return {
    addresses: answers.flatMap((answer) => (answer.kind === 'found' ? answer.records : [])),
    failed: answers.some((answer) => answer.kind === 'failed'),
  }
}

/** `[192.0.2.1]` and `[IPv6:2001:db8::1]` of an address literal. */
function literalAddress(domain: string): string | undefined {
  return /^\[(?:IPv6:)?([^\]]+)\]$/i.exec(domain)?.[1]
}

function refused(reply: Reply): { readonly kind: 'refused'; readonly reply: Reply } {
  return { kind: 'refused', reply }
}

function nullMx(domain: string): Reply {
  return { code: 556, enhanced: '5.1.10', text: `The domain ${domain} takes no mail (null MX)` }
}

function noDomain(domain: string): Reply {
  return { code: 550, enhanced: '5.1.2', text: `The domain ${domain} does not exist` }
}

function noAddress(domain: string): Reply {
  return { code: 550, enhanced: '5.1.2', text: `The domain ${domain} has no mail server: no host with an address` }
}

function dnsFailed(domain: string): Reply {
  return { code: 451, enhanced: '4.4.3', text: `The mail servers of ${domain} could not be looked up` }
}

function looped(domain: string): Reply {
  return { ...replies.routingLoop, text: `The mail for ${domain} loops back to ourselves` }
}
