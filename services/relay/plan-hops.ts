import { isIP } from 'node:net'

import type { TlsFact } from '../../shared/aggregate-reports/facts.ts'
import type { RelayAction } from '../../shared/config/model.ts'
import { anyLogin } from '../../shared/config/any-login.ts'
import { externalOf } from '../../shared/config/externals.ts'
import { RelayUrlError, parseRelayUrl } from '../../shared/config/relay-url.ts'
import { settle } from '../../shared/config/settle.ts'
import type { ValidatingResolver } from '../../shared/dns/validating-resolver.ts'
import { domainOf } from '../../shared/mail/address.ts'
import type { StsPolicies } from '../../shared/mta-sts/policies.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { Credentials } from '../../shared/smtp-client/authenticate.ts'
import { peerName } from '../../shared/smtp-client/open-connection.ts'
import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'
import type { Places } from './connection-budget.ts'
import { demandKey, mayUse, noHostLeft, policyDomain, withDemand, withDemands } from './domain-policy.ts'
import type { Demand, HostWithDemand, PolicyFailure } from './domain-policy.ts'
import type { Hop, HopPlan } from './hop.ts'
import { addressesOf, findMailHosts } from './mail-hosts.ts'
import type { OwnHosts } from './own-host.ts'
import type { PemFiles } from './pem-files.ts'
import type { RelayLimits } from './relay-limits.ts'
import type { SecureContexts } from './secure-contexts.ts'
import { passedOverFact, sessionPolicy } from './tls-facts.ts'
import type { SessionPolicy } from './tls-facts.ts'
import { waivesTls } from './tls-required.ts'
import { tlsPolicy } from './tls-policy.ts'
import type { Turns } from './turns.ts'

export interface HopRequest {
  readonly message: StageMessage
  readonly action: RelayAction
  readonly context: Pick<StageContext, 'configuration' | 'tables' | 'resolver'>
  readonly turns: Turns
  readonly pemFiles: PemFiles
  readonly contexts: SecureContexts
  readonly ownHosts: OwnHosts
  readonly limits: RelayLimits
  readonly policies: StsPolicies
  /** Absent: `dane off`. */
  readonly validating?: ValidatingResolver
  readonly onPolicyFailure: (failure: PolicyFailure) => void
  /** What the domain demands of TLS, before it is tried. */
  readonly onDemand: (policy: Demand['policy'] | 'none') => void
  /** Of a host that is not asked: of the others sending tells. */
  readonly noteSession: (fact: TlsFact) => void
}

/**
 * Where this message may be handed to, in the order to try: the smarthosts of the action in turn, or the MX of the domain.
 * @throws TableError
 */
export async function planHops(request: HopRequest): Promise<HopPlan> {
  const smarthosts = await smarthostsOf(request)
  const named = { ...request, sources: await sourcesOf(request) }
  return smarthosts === undefined ? mxHops(named) : smarthostHops(smarthosts, named)
}

/** Relay URLs; `undefined` when the action goes by MX. */
async function smarthostsOf({ action, context, message, turns }: HopRequest): Promise<readonly string[] | undefined> {
  if (message.order?.kind === 'host') return [message.order.url]
  if (action.host !== undefined) {
    const { host } = action
    const hosts = await settle(context.tables, (tables) => tables.entries(host, 'relayhost'))
    return action.hostsInOrder === true ? hosts : turns.rotate(action.host.name, hosts)
  }
  if (action.domain !== undefined && message.destination !== undefined) return [message.destination]
  return undefined
}

async function mxHops(request: SourcedRequest): Promise<HopPlan> {
  const { action, context, pemFiles } = request
  const { configuration, resolver } = context
  const { policies, validating } = request
  const port = configuration.pipeline.relayPort
  const domain = request.message.destination ?? domainOfFirst(request.message)
  const isOurs = request.ownHosts.of(configuration)
  const backup = action.backup?.mx?.toLowerCase()
  const found = await findMailHosts(domain, {
    resolver: validating ?? resolver,
    isOurs: (host) => host.name === backup || isOurs(host),
    random: Math.random,
  })
  if (found.kind === 'refused') return found
  const tls = await tlsPolicy('opportunistic', action, configuration, pemFiles)
  const demanded = await withDemands(domain, found.hosts, {
    configuration,
    policies,
    resolver,
    ...(validating === undefined ? {} : { validating }),
    read: (path) => pemFiles.read(path),
  })
  request.onDemand(demanded.find(({ demand }) => demand !== undefined)?.demand?.policy ?? 'none')
  const mayWaive = demanded.some(({ demand }) => demand !== undefined) || mayBeReport(request)
  const waived = mayWaive && (await waivesTls(request.message))
  const hosts: readonly PlannedHost[] = waived ? found.hosts : withReports(domain, demanded, request)
  const usable = hosts.filter(mayUse)
  for (const host of hosts)
    if (host.reported !== undefined && !mayUse(host)) request.noteSession(passedOverFact(host, host.reported))
  if (usable.length === 0) return noneUsable(domain, hosts, request)
  const hops = usable.flatMap((host) => {
    const { name, addresses, demand, reported } = host
    const target = {
      host: name,
      port,
      protocol: 'smtp' as const,
      tls: withDemand(tls, host),
      ...(demand === undefined ? {} : { demand }),
      ...(reported === undefined ? {} : { reported }),
    }
    return addresses.flatMap((address) => hopTo({ ...target, address }, request))
  })
  return someHops(hops)
}

type PlannedHost = HostWithDemand & { readonly reported?: SessionPolicy }

/** With `report tls`: what sessions with the hosts are held against. */
function withReports(
  domain: string,
  hosts: readonly HostWithDemand[],
  { context, policies }: HopRequest,
): readonly PlannedHost[] {
  const { aggregateReports, mtaSts } = context.configuration.pipeline
  const name = aggregateReports.tls === undefined ? undefined : policyDomain(domain)
  if (name === undefined) return hosts
  const trouble = mtaSts.mode === 'off' ? undefined : policies.troubleOf(name)
  return hosts.map((host) => ({ ...host, reported: sessionPolicy(name, host.demand, trouble) }))
}

/** Reports on TLS waive it, and their own sessions are not reported: that would go on for ever (RFC 8460 §3). */
function mayBeReport({ message: { envelope }, context }: HopRequest): boolean {
  const isOurs = envelope.reversePath === null && envelope.origin.kind === 'local'
  return isOurs && context.configuration.pipeline.aggregateReports.tls !== undefined
}

function noneUsable(domain: string, hosts: readonly HostWithDemand[], { onPolicyFailure }: HopRequest): HopPlan {
  const { reply, ...failure } = noHostLeft(domain, hosts)
  onPolicyFailure(failure)
  return { kind: 'refused', reply }
}

async function smarthostHops(urls: readonly string[], request: SourcedRequest): Promise<HopPlan> {
  const hops: Hop[] = []
  for (const text of urls) {
    const url = urlOf(text)
    if (typeof url === 'string') return notConfigured(url)
    const external = externalOf(request.context.configuration.pipeline.externals, text)
    const { action, context, pemFiles } = request
    const login = url.label === undefined ? undefined : await loginOf(url.label, request)
    if (url.label !== undefined && login === undefined)
      return notConfigured(`The configuration has no user and password for the relay label "${url.label}"`)
    const host = external?.host ?? url.host.replace(/^\[(?:IPv6:)?(.*)\]$/i, '$1')
    const tls = await tlsPolicy(url.tls, action, context.configuration, pemFiles)
    const target = {
      host,
      port: external?.port ?? url.port,
      protocol: url.kind,
      tls,
      ...(login === undefined ? {} : { login }),
    }
    for (const address of await smarthostAddresses(host, request))
      hops.push(...hopTo({ ...target, ...(address === undefined ? {} : { address }) }, request))
  }
  return someHops(hops)
}

/** By DNS; what that does not know (`localhost`, a container's name) by the system when connecting. */
async function smarthostAddresses(host: string, { context }: HopRequest): Promise<readonly (string | undefined)[]> {
  if (isIP(host) === 0 && !host.includes('.')) return [undefined]
  const { addresses } = await addressesOf(host, context.resolver)
  return addresses.length === 0 ? [undefined] : addresses
}

function urlOf(text: string) {
  try {
    const url = parseRelayUrl(text)
    return url.kind === 'queue' ? `The relay host "${text}" names a queue` : url
  } catch (error) {
    if (error instanceof RelayUrlError) return `The relay host "${text}" is not valid: ${error.message}`
    throw error
  }
}

/** Of the action's table; a host that an operator named may have its login in that of another action. */
async function loginOf(label: string, { action, context, message }: HopRequest): Promise<Credentials | undefined> {
  if (message.order?.kind === 'host') return anyLogin(context, label)
  const { auth } = action
  return auth === undefined ? undefined : settle(context.tables, (tables) => tables.relayLogin(auth, label))
}

interface Target {
  readonly host: string
  readonly address?: string
  readonly port: number
  readonly protocol: 'smtp' | 'lmtp'
  readonly tls: TlsPolicy
  readonly login?: Credentials
  readonly demand?: Demand
  readonly reported?: SessionPolicy
}

/**
 * A hop to one address, from a source address of ours when the action names some; none when no source is of its family, or when
 * `mta limit` wants the other family.
 */
function hopTo(target: Target, request: SourcedRequest): readonly Hop[] {
  const { action, context, contexts, limits, message } = request
  if (limits.family !== undefined && ![0, limits.family].includes(isIP(target.address ?? ''))) return []
  const source = sourceFor(target.address, request)
  if (source === 'none') return []
  const endpoint = {
    kind: 'tcp' as const,
    host: target.host,
    port: target.port,
    ...(target.address === undefined ? {} : { address: target.address }),
    ...(source === undefined ? {} : { localAddress: source.address }),
  }
  const { configuration } = context
  return [
    {
      endpoint,
      protocol: target.protocol,
      helo: source?.helo ?? action.helo ?? configuration.hostname,
      tls: contexts.prepare(target.tls),
      key: keyOf(target, peerName(endpoint), source?.address, request),
      places: placesOf(target, source?.address, message),
      limits,
      ...(target.login === undefined ? {} : { credentials: target.login }),
      ...(target.demand === undefined ? {} : { demand: target.demand }),
      ...(target.reported === undefined ? {} : { reported: target.reported }),
    },
  ]
}

/** A connection that was opened without a demand is none for a domain that has one, nor does a failure count for both. */
function keyOf({ demand }: Target, peer: string, source = '', { context, message }: HopRequest): string {
  const order = message.order?.kind === 'host' ? `=${message.order.url}` : ''
  return `${context.configuration.revision} ${message.action ?? ''}${order} ${peer} ${source} ${demandKey(demand)}`
}

function placesOf(target: Target, source = 'any', { action, destination }: StageMessage): Places {
  const host = target.address ?? target.host
  const relay = `${action ?? ''} to ${destination ?? ''}`
  const domain = destination ?? ''
  return { host, source, route: `${host} from ${source}`, relay, connector: `${relay} from ${source}`, domain }
}

/** An address of ours to connect from, and the name that goes with it. */
interface Source {
  readonly address: string
  readonly helo?: string
}

/** `sources`: those the action names; absent: the system chooses. */
interface SourcedRequest extends HopRequest {
  readonly sources: readonly Source[] | undefined
}

async function sourcesOf({ action, context }: HopRequest): Promise<readonly Source[] | undefined> {
  const { src, heloSrc } = action
  if (src === undefined) return undefined
  return settle(context.tables, (tables) =>
    tables.entries(src, 'source').map((entry) => {
      const address = entry.replace(/^\[(.*)\]$/, '$1')
      const helo = heloSrc === undefined ? undefined : tables.lookup(heloSrc, address, 'addrname')
      return { address, ...(helo === undefined ? {} : { helo }) }
    }),
  )
}

function sourceFor(
  address: string | undefined,
  { action, turns, sources }: SourcedRequest,
): Source | 'none' | undefined {
  if (sources === undefined) return undefined
  const family = isIP(address ?? '')
  const fitting = sources.filter((source) => family === 0 || isIP(source.address) === family)
  return turns.rotate(`${action.src?.name ?? ''}/${family}`, fitting)[0] ?? 'none'
}

function domainOfFirst({ envelope, pending }: StageMessage): string {
  const recipient = envelope.recipients[pending[0] ?? 0]
  if (recipient === undefined) throw new RangeError('a relay job without recipients')
  return domainOf(recipient.mailbox)
}

function someHops(hops: readonly Hop[]): HopPlan {
  return hops.length > 0
    ? { kind: 'hops', hops }
    : notConfigured('No source address, or no family of `mta limit`, fits the addresses of the mail servers')
}

/** A fault of the configuration is for an operator to mend; the mail waits. */
function notConfigured(text: string): HopPlan {
  return { kind: 'refused', reply: { code: 451, enhanced: '4.3.5', text } }
}
