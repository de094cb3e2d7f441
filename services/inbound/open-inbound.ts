import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'

import type { Configuration, Listener, Pki, Table } from '../../shared/config/model.ts'
import { chosenFor } from '../../shared/config/listener-choice.ts'
import { isLoopback } from '../../shared/config/loopback.ts'
import { compileNetworks } from '../../shared/config/network.ts'
import { asksForCertificate, clientHelloWaitMs, sessionSettings } from '../../shared/config/session-rules.ts'
import type { SessionSettings } from '../../shared/config/session-rules.ts'
import { mechanismsOf } from '../../shared/config/login-faults.ts'
import { settle } from '../../shared/config/settle.ts'
import { ciphersFor, tlsVersions } from '../../shared/config/tls-words.ts'
import type { PasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { Greylist } from '../../shared/queue/greylist.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { tagsOf } from './acceptance.ts'
import { addressRewriting } from './address-rewriting.ts'
import { createEtrn } from './etrn.ts'
import type { Flush } from './etrn.ts'
import { createExpn } from './expn.ts'
import type { ExpnParts } from './expn.ts'
import { ensurePair } from './acme/certificate-pair.ts'
import { admissionOf } from './admission.ts'
import type { Admits } from './admission.ts'
import { bindAddresses } from './bind-addresses.ts'
import { Certificates } from './certificates.ts'
import type { ClientProof } from './certificates.ts'
import { createFilterHost } from '../../shared/filter-host/filter-host.ts'
import type { FilterHost, FilterLease } from '../../shared/filter-host/filter-host.ts'
import type { FilterSettings } from '../../shared/filter-host/settings.ts'
import { findClientName } from '../../shared/client-name.ts'
import { createLoginBackends } from '../../shared/login/login-backends.ts'
import type { LoginBackends } from '../../shared/login/login-backends.ts'
import { ConnectionPlaces } from './connection-places.ts'
import { BanList } from './ban-list.ts'
import { banned, createWatch } from './client-watch.ts'
import type { ClientWatch } from './client-watch.ts'
import { createGate } from './gate.ts'
import type { MayEnter } from './gate.ts'
import { contentChecks } from './content-checks.ts'
import { headerChecks } from './header-checks.ts'
import { Door } from './door.ts'
import { KnownClients } from './known-clients.ts'
import { defaultLimits, statedLimits } from './limits.ts'
import type { SessionLimits } from './limits.ts'
import { LoginGuard, createLogin } from './login.ts'
import { openQuotaStatus } from './quota-status.ts'
import type { QuotaStatus } from './quota-status.ts'
import type { Reception, ResolveRecipient } from './reception.ts'
import { openRestrictions } from './restrictions/open-restrictions.ts'
import type { Restrictions } from './restrictions/session-restrictions.ts'
import { mannersOf } from './manners.ts'
import { InboundServer } from './server.ts'
import { TicketKeys } from './ticket-keys.ts'
import { Overload, openLoadMeter } from './overload.ts'
import type { Load } from './overload.ts'
import { Tally } from './tally.ts'

export interface InboundParts extends Pick<
  ServiceContext,
  'configuration' | 'live' | 'tables' | 'pipeline' | 'resolver' | 'events' | 'log' | 'clock'
> {
  /** One for each configuration. */
  readonly recipientResolver: (configuration: Configuration) => ResolveRecipient
  readonly ruleHits?: ServiceContext['ruleHits']
  readonly filterTally?: ServiceContext['filterTally']
  readonly tracing?: ServiceContext['tracing']
  /** What all inbound processes know together; absent: this one is alone. */
  readonly queues?: Pick<ServiceContext['queues'], 'tallies' | 'bans'>
  readonly verifier: Pick<PasswordVerifier, 'verify'>
  readonly monotonic: () => number
  /** In place of a look at this process. */
  readonly measureLoad?: () => Load
  readonly limits?: SessionLimits
  /** In place of what pipeline.conf says of a filter process; by name of the proc or filter. */
  readonly filterSettings?: (name: string) => Partial<FilterSettings>
  /** Of all processes, for `restrict rcpt defer greylist`. */
  readonly greylist: Greylist
  /** For `etrn from`. */
  readonly flush: Flush
  /** In place of real time, for `restrict ... sleep`. */
  readonly sleep?: Restrictions['sleep']
  /** The key of session tickets, for all processes that have this file; absent: each has its own. */
  readonly ticketFile?: string
  /** Told of each client at the door. */
  readonly lookAtClient?: (address: string) => void
  /** In place of the log. */
  readonly reportFilter?: Reception['reportFilter']
}

export interface Inbound {
  /** For the start message: `smtp://127.0.0.1:2525 (STARTTLS)`. */
  readonly listens: readonly string[]
  readonly addresses: readonly AddressInfo[]
  /** Clients that are connected, by what is listened on. */
  connections(): Readonly<Record<string, number>>
  /** Reads the certificate files again now. */
  refreshCertificates(): Promise<void>
  /** Tells the other processes what was counted here, and hears of them; done every second by itself. */
  exchange(): Promise<void>
  /** Whether new connections can be taken; done every second by itself. */
  lookAtLoad(): void
  /** One sentence each. */
  troubles(): readonly string[]
  close(): Promise<void>
}

const certificateCheckMs = 10_000
const exchangeMs = 1_000

/** What outlives a configuration: what is known of clients, and processes that the next one has too. */
interface Lasting extends Pick<Reception, 'limits' | 'knownClients'> {
  readonly places: ConnectionPlaces
  readonly tally: Tally
  readonly bans: BanList
  readonly overload: Overload
  readonly guard: LoginGuard
  readonly tickets: TicketKeys
  readonly loginBackends: LoginBackends
  /** Makes users that are not there look the same at each login. */
  readonly decoyKey: Buffer
  readonly filterHost: FilterHost
}

/** A listening address of one configuration. */
interface Place {
  /** Of its door: the same address under the next configuration has the same. */
  readonly key: string
  readonly door: Door
  readonly server: InboundServer
  readonly certificates: Certificates | undefined
  readonly text: string
}

/** All that one configuration opened. */
interface Opened {
  readonly configuration: Configuration
  readonly places: readonly Place[]
  readonly filters: FilterLease
  readonly quotaStatus: QuotaStatus | undefined
}

/**
 * Opens every listener of smtpd.conf, one door for each of its addresses, and follows its changes: a door stays while its address
 * does, and sessions end under the configuration they began with, also when their door is closed.
 * @throws an error that names the listener and its line, with all that was open closed again
 */
export async function openInbound(parts: InboundParts): Promise<Inbound> {
  const limits = parts.limits ?? defaultLimits
  const meter = openLoadMeter()
  const tickets = new TicketKeys({
    ...(parts.ticketFile === undefined ? {} : { path: parts.ticketFile }),
    clock: parts.clock,
    onWarning: (message) => parts.log.warn({}, message),
  })
  await tickets.refresh()
  const lasting: Lasting = {
    limits,
    places: new ConnectionPlaces(limits, parts.tables, parts.log),
    tally: new Tally({ now: parts.clock.now, ...(parts.queues && { shared: parts.queues.tallies }) }),
    overload: new Overload(parts.log, parts.measureLoad ?? meter.measure),
    bans: new BanList(parts.clock.now, parts.queues?.bans),
    knownClients: new KnownClients(),
    guard: new LoginGuard(parts.monotonic),
    tickets,
    loginBackends: createLoginBackends(parts),
    decoyKey: randomBytes(32),
    filterHost: createFilterHost({
      log: parts.log,
      now: () => performance.timeOrigin + performance.now(),
      tally: parts.filterTally,
    }),
  }
  /** Those that still have sessions, the one in force last. */
  const all = new Set<Opened>()
  /** Doors that are closed, with clients behind them. */
  const closing = new Set<Promise<void>>()
  let current = await openAll(parts.configuration, parts, lasting, new Map())
  enter(current)

  function enter(opened: Opened): void {
    all.add(opened)
    lasting.places.follow(opened.configuration)
    for (const { door, server } of opened.places) door.leadTo(server)
  }

  /** Sessions go on; what only they need is closed behind the last one. */
  function retire(opened: Opened): void {
    void Promise.all(opened.places.map(({ server }) => server.retire()))
      .then(() => {
        all.delete(opened)
        return release(opened)
      })
      .catch((error: unknown) => parts.log.error({ err: error }, 'what a former configuration opened is still open'))
  }

  function closeDoor(door: Door): Promise<void> {
    const closed = door.close().finally(() => closing.delete(closed))
    closing.add(closed)
    return closed
  }

  const unfollow = parts.live.follow({
    async prepare(next) {
      const before = current
      const doors = new Map(before.places.map(({ key, door }) => [key, door]))
      const prepared = await openAll(next, parts, lasting, doors)
      return {
        commit() {
          current = prepared
          enter(prepared)
          retire(before)
          const kept = new Set(prepared.places.map(({ door }) => door))
          for (const { door } of before.places) if (!kept.has(door)) void closeDoor(door)
        },
        abandon: () => abandon(prepared, doors),
      }
    },
  })
  const refreshCertificates = async (): Promise<void> => {
    await tickets.refresh()
    for (const certificates of new Set(current.places.map((one) => one.certificates))) await certificates?.refresh()
  }
  const timer = setInterval(() => void refreshCertificates(), certificateCheckMs)
  timer.unref()
  const exchange = async (): Promise<void> => {
    await Promise.all([lasting.tally.exchange(), lasting.bans.exchange()])
  }
  const exchangeTimer = setInterval(() => {
    lasting.overload.look()
    void exchange()
  }, exchangeMs)
  exchangeTimer.unref()
  void exchange()
  return {
    get listens() {
      return current.places.map((one) => one.text)
    },
    connections: () => connectionsOf(all),
    get addresses() {
      return current.places.map((one) => one.door.address)
    },
    refreshCertificates,
    exchange,
    lookAtLoad: () => lasting.overload.look(),
    troubles: () => lasting.overload.troubles,
    async close() {
      unfollow()
      clearInterval(timer)
      clearInterval(exchangeTimer)
      meter.close()
      for (const { door } of current.places) void closeDoor(door)
      await Promise.all([...all].flatMap(({ places }) => places.map(({ server }) => server.shut())))
      await Promise.all(closing)
      await Promise.all([...all].map((opened) => release(opened)))
      lasting.loginBackends.close()
      await exchange()
    },
  }
}

/** @param doors those that are open, by key. @throws an error that names the listener, with what was opened here closed again */
async function openAll(
  configuration: Configuration,
  parts: InboundParts,
  lasting: Lasting,
  doors: ReadonlyMap<string, Door>,
): Promise<Opened> {
  const listeners = configuration.listeners.filter((listener) => isOpen(listener, configuration))
  const filters = await startFilters(listeners, configuration, parts, lasting.filterHost)
  const quotaStatus = openQuotaStatus(configuration.pipeline.quotaStatus, parts.log, parts.filterTally)
  const places: Place[] = []
  try {
    const surroundings = {
      configuration,
      parts,
      lasting,
      filters,
      quotaStatus,
      resolveRecipient: parts.recipientResolver(configuration),
    }
    for (const listener of listeners) await openListener(listener, surroundings, doors, places)
    return { configuration, places, filters, quotaStatus }
  } catch (error) {
    await abandon({ configuration, places, filters, quotaStatus }, doors)
    throw error
  }
}

/** Of all configurations that still have sessions, by what is listened on. */
function connectionsOf(all: Iterable<Opened>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { places } of all)
    for (const { text, server } of places) counts[text] = (counts[text] ?? 0) + server.clients
  return counts
}

async function abandon(opened: Opened, doors: ReadonlyMap<string, Door>): Promise<void> {
  const before = new Set(doors.values())
  await Promise.all(opened.places.filter(({ door }) => !before.has(door)).map(({ door }) => door.close()))
  await release(opened)
}

/** What only sessions of this configuration need. */
async function release({ filters, quotaStatus }: Opened): Promise<void> {
  await quotaStatus?.close()
  await filters.release()
}

/** Only those of listeners that are opened. */
function startFilters(
  listeners: readonly Listener[],
  configuration: Configuration,
  parts: InboundParts,
  host: FilterHost,
): Promise<FilterLease> {
  const stated = configuration.pipeline.filters
  return host.lease({
    filters: listeners.flatMap((listener) => listener.filters ?? []),
    admd: configuration.authservId,
    settings: parts.filterSettings ?? ((name) => stated.get(name) ?? {}),
  })
}

/** What the listeners of one configuration are opened with. */
interface Surroundings {
  readonly configuration: Configuration
  readonly parts: InboundParts
  readonly lasting: Lasting
  readonly filters: FilterLease
  readonly quotaStatus: QuotaStatus | undefined
  readonly resolveRecipient: ResolveRecipient
}

/**
 * `listen on socket` is the submission API elsewhere. A listener on the port behind a queue's `answers` is where an external
 * content filter would hand messages back: with a queue of our own it only names the tag (SMTPD_CONF 12.2).
 */
function isOpen(listener: Listener, configuration: Configuration): boolean {
  if (listener.on === 'socket') return false
  const returnPorts = [...configuration.pipeline.queues.values()].map(({ answers }) =>
    answers === undefined ? undefined : Number(/:(\d+)$/.exec(answers)?.[1]) + 1,
  )
  return listener.tag === undefined || !isLoopback(listener.on) || !returnPorts.includes(listener.port)
}

async function openListener(
  listener: Listener,
  surroundings: Surroundings,
  doors: ReadonlyMap<string, Door>,
  places: Place[],
): Promise<void> {
  const { configuration } = surroundings
  try {
    const certificates = await certificatesOf(listener, surroundings)
    const addresses = await bindAddresses({
      on: listener.on,
      interfaces: configuration.pipeline.interfaces,
      ...(listener.family === undefined ? {} : { family: listener.family }),
    })
    if (addresses.length === 0) throw new Error('no address of this machine belongs to it')
    for (const host of addresses) {
      const key = freeKey(endpoint(host, listener.port), places)
      const door = doors.get(key) ?? (await Door.open(host, listener.port))
      const reception = receptionOf(listener, host, surroundings)
      const server = new InboundServer(reception, certificates)
      const text = describe(listener, door.address, reception.clientHelloMs !== undefined)
      places.push({ key, door, server, certificates, text })
    }
  } catch (error) {
    const { file, line } = listener.at
    throw new StartError(
      `${file}:${line}: listen on ${listener.on} port ${listener.port}: ${reasonOf(error, listener, doors)}`,
      {
        cause: error,
      },
    )
  }
}

/** Port 0 may be listened on more than once: the second has another door. */
function freeKey(name: string, places: readonly Place[]): string {
  if (!name.endsWith(':0')) return name
  return `${name} ${places.filter(({ key }) => key.startsWith(`${name} `)).length}`
}

function receptionOf(listener: Listener, host: string, surroundings: Surroundings): Reception {
  const { configuration, parts, lasting, filters, quotaStatus, resolveRecipient } = surroundings
  const { tables, pipeline, resolver, events, log, clock, monotonic } = parts
  const { knownClients, guard, loginBackends, decoyKey } = lasting
  const settings = sessionSettings(configuration.pipeline.sessions, listener)
  const clientHelloMs = clientHelloWaitMs(listener, settings)
  const { table } = listener.auth
  const logins = table === undefined ? configuration.pipeline.login : [{ kind: 'table', table } as const]
  const { interfaces, trustedProxies, extensions } = configuration.pipeline
  const { etrn, expn, trustedClients, trustedFilters } = extensions
  const admits = admissionOf(listener, interfaces)
  const beforeAccept = chosenFor(configuration.pipeline.beforeAccept, listener)
  const rewriting = addressRewriting(configuration, tables)
  const { headerRules, contentRules } = configuration.pipeline
  const checkHeader = headerChecks(headerRules, contentRules.mimeHeader, listener)
  const checkContent = contentChecks(contentRules, listener, configuration.maxMessageBytes)
  // Behind a balancer the clients are strangers, wherever it is.
  const thisHost = isLoopback(listener.on) && !listener.proxy
  const restrictions = openRestrictions({ ...parts, configuration, listener, resolveRecipient, thisHost })
  const name = endpoint(host, listener.port)
  const watch = createWatch(listener, configuration, name, { ...lasting, tables, events, log, now: clock.now })
  return {
    listener,
    ...(thisHost ? { thisHost: true } : {}),
    ...(admits === undefined ? {} : { admits }),
    ...(listener.proxy ? { trustsProxy: admitsOnly(trustedProxies) } : {}),
    ...(trustedClients === undefined ? {} : { trustsClient: admitsOnly(trustedClients) }),
    ...(trustedFilters === undefined ? {} : { trustsFilter: admitsOnly(trustedFilters) }),
    name,
    hostname: listener.hostname ?? configuration.hostname,
    ...(listener.hostnames === undefined ? {} : { hostnameAt: hostnameAt(listener.hostnames, tables) }),
    configuration: withMessageSize(configuration, settings),
    tables,
    pipeline,
    resolveRecipient,
    clientName: (address) => findClientName(resolver, address),
    ...(listener.filters === undefined || listener.filters.length === 0
      ? {}
      : { filters: { chain: listener.filters, processes: filters.processes, tables, log } }),
    ...(restrictions === undefined ? {} : { restrictions }),
    ...(checkHeader === undefined ? {} : { checkHeader }),
    ...(checkContent === undefined ? {} : { checkContent }),
    ...(rewriting === undefined ? {} : { rewriting }),
    ...(etrn === undefined ? {} : { etrn: createEtrn({ clients: etrn, tables, flush: parts.flush, log }) }),
    ...(expn === undefined
      ? {}
      : { expn: createExpn({ clients: expn, tables, log, ...listsOf(listener, surroundings) }) }),
    ...(quotaStatus === undefined ? {} : { quotaStatus }),
    ...(beforeAccept === undefined ? {} : { beforeAccept }),
    reportFilter: parts.reportFilter ?? ((fields) => events.filterReport(fields)),
    login: createLogin({
      backends: logins.map((one) => loginBackends.of(one)),
      mechanisms:
        logins.length === 0 ? ['PLAIN', 'LOGIN'] : mechanismsOf(logins, configuration.pipeline.auth.mechanisms),
      decoyKey,
      guard,
      log,
    }),
    events,
    ...(parts.tracing === undefined ? {} : { tracing: parts.tracing }),
    log,
    clock,
    monotonic,
    gate: createGate(
      lasting.places.countersOf(listener, configuration),
      doorChecks(lasting, watch, parts.lookAtClient),
    ),
    knownClients,
    limits: statedLimits(lasting.limits, settings),
    manners: mannersOf(settings),
    asksCertificate: asksForCertificate(listener, settings),
    ...(clientHelloMs === undefined ? {} : { clientHelloMs }),
    ...(watch === undefined ? {} : { watch }),
  }
}

/** What EXPN tells of: lists, as mail of this host would find them. */
function listsOf(
  listener: Listener,
  { configuration, parts, resolveRecipient }: Surroundings,
): Pick<ExpnParts, 'expand' | 'domain'> {
  const asked = { reversePath: null, recipients: [], tags: tagsOf(listener), origin: { kind: 'local' } } as const
  return {
    domain: configuration.pipeline.rewriting.appendDomain ?? listener.hostname ?? configuration.hostname,
    expand: (mailbox) => {
      const receivedAt = parts.clock.now()
      return resolveRecipient({ ...asked, id: newMessageId(receivedAt), receivedAt }, mailbox)
    },
  }
}

function admitsOnly(networks: readonly string[]): Admits {
  const compiled = compileNetworks(networks)
  return (address) => compiled.matches(address)
}

/** What is asked about a client before it has a place. */
function doorChecks(
  { bans, overload }: Lasting,
  watch: ClientWatch | undefined,
  lookAt: InboundParts['lookAtClient'],
): readonly MayEnter[] {
  const isSeen: readonly MayEnter[] = lookAt === undefined ? [] : [seenBy(lookAt)]
  const isBanned: MayEnter = (address) => (bans.has(address) ? banned : undefined)
  const isOverloaded: MayEnter = () => overload.refusal
  if (watch === undefined) return [...isSeen, isBanned, isOverloaded]
  const comesTooOften: MayEnter = (address) => {
    const taken = watch.take('connections', { session: '-', address })
    return typeof taken === 'function' ? undefined : taken.reply
  }
  return [...isSeen, isBanned, isOverloaded, comesTooOften]
}

/** Refuses nobody. */
function seenBy(lookAt: NonNullable<InboundParts['lookAtClient']>): MayEnter {
  return (address) => {
    lookAt(address)
    return undefined
  }
}

/** `limit message`: what the sessions of a listener take for the limit of all. */
function withMessageSize(configuration: Configuration, { messageBytes }: SessionSettings): Configuration {
  return messageBytes === undefined ? configuration : { ...configuration, maxMessageBytes: messageBytes }
}

/** `hostnames`: the name of this host by the address a client connected to. */
function hostnameAt(names: Table, tables: InboundParts['tables']): NonNullable<Reception['hostnameAt']> {
  return async (address) => {
    const plain = address.replace(/%.*$/, '')
    for (const key of plain.includes(':') ? [plain, `[${plain}]`] : [plain]) {
      const name = await settle(tables, (settled) => settled.lookup(names, key, 'addrname'))
      if (name !== undefined) return name
    }
    return undefined
  }
}

async function certificatesOf(
  listener: Listener,
  { configuration, parts, lasting }: Surroundings,
): Promise<Certificates | undefined> {
  if (listener.tls === 'none') return undefined
  const { acme } = configuration.pipeline
  if (acme !== undefined) await ensurePair(acme)
  const clientCa = listener.ca === undefined ? undefined : configuration.cas.get(listener.ca)
  const versions = tlsVersions(listener.protocols, configuration.pipeline.tlsMinimum)
  if (versions === undefined) throw new Error(`protocols "${listener.protocols ?? ''}" leaves no version of TLS`)
  const ciphers = ciphersFor(versions.minVersion, listener.ciphers ?? configuration.ciphers)
  return Certificates.open({
    pkis: pkisOf(listener, configuration),
    tls: { ...versions, ...(ciphers === undefined ? {} : { ciphers }) },
    client: clientProof(listener, sessionSettings(configuration.pipeline.sessions, listener)),
    tickets: lasting.tickets,
    onWarning: (message) => parts.log.warn({ listener: listener.on }, message),
    ...(clientCa === undefined ? {} : { clientCa }),
  })
}

function clientProof(listener: Listener, settings: SessionSettings): ClientProof {
  if (listener.verifyClient) return 'demanded'
  return asksForCertificate(listener, settings) ? 'asked' : 'none'
}

/** Those the listener names; without any, all there are. */
function pkisOf(listener: Listener, configuration: Configuration): readonly Pki[] {
  const named = listener.pkis.map((name) => {
    const pki = configuration.pkis.get(name)
    if (pki === undefined) throw new Error(`there is no pki "${name}"`)
    return pki
  })
  const pkis = named.length > 0 ? named : [...configuration.pkis.values()]
  if (pkis.length === 0) throw new Error('TLS needs a pki')
  return pkis
}

function describe(listener: Listener, { address, port }: AddressInfo, eitherTls: boolean): string {
  const words = []
  if (listener.tls === 'offered') words.push('STARTTLS')
  if (listener.tls === 'required') words.push(eitherTls ? 'STARTTLS or TLS required' : 'STARTTLS required')
  if (listener.auth.kind === 'required') words.push('AUTH required')
  if (listener.auth.kind === 'optional') words.push('AUTH')
  if (listener.tag !== undefined) words.push(`tag ${listener.tag}`)
  if (listener.proxy) words.push('PROXY v2')
  const scheme = listener.tls === 'implicit' ? 'smtps' : 'smtp'
  return `${scheme}://${endpoint(address, port)}${words.length === 0 ? '' : ` (${words.join(', ')})`}`
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

const listenErrors = new Map([
  ['EADDRINUSE', 'the address is in use by another program'],
  ['EADDRNOTAVAIL', 'the address is not one of this machine'],
  ['EACCES', 'not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE'],
])

function reasonOf(error: unknown, listener: Listener, doors: ReadonlyMap<string, Door>): string {
  const { code = '' } = error as NodeJS.ErrnoException
  const isOurs = code === 'EADDRINUSE' && [...doors.values()].some(({ address }) => address.port === listener.port)
  if (isOurs)
    return 'a listener on this port is open, of which this is a part or the whole: stop and start to change it'
  const known = listenErrors.get(code)
  return known ?? (error instanceof Error ? error.message : String(error))
}
