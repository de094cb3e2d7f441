import type { AddressInfo } from 'node:net'

import type { Configuration, Listener, Pki, Table } from '../../shared/config/model.ts'
import { tlsVersions } from '../../shared/config/tls-words.ts'
import type { PasswordVerifier } from '../../shared/crypt/verify-password.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { bindAddresses } from './bind-addresses.ts'
import { Certificates } from './certificates.ts'
import { openFilterHost } from '../../shared/filter-host/filter-host.ts'
import type { FilterHost } from '../../shared/filter-host/filter-host.ts'
import type { FilterSettings } from '../../shared/filter-host/settings.ts'
import { findClientName } from './client-name.ts'
import { ConnectionCounter } from './connection-counter.ts'
import { KnownClients } from './known-clients.ts'
import { defaultLimits } from './limits.ts'
import type { SessionLimits } from './limits.ts'
import { LoginGuard, createLogin } from './login.ts'
import type { Reception, ResolveRecipient } from './reception.ts'
import { InboundServer } from './server.ts'

export interface InboundParts extends Pick<
  ServiceContext,
  'configuration' | 'tables' | 'pipeline' | 'resolver' | 'events' | 'log' | 'clock'
> {
  readonly resolveRecipient: ResolveRecipient
  readonly verifier: Pick<PasswordVerifier, 'verify'>
  readonly monotonic: () => number
  readonly limits?: SessionLimits
  /** In place of what pipeline.conf says of a filter process; by name of the proc or filter. */
  readonly filterSettings?: (name: string) => Partial<FilterSettings>
  /** In place of the log. */
  readonly reportFilter?: Reception['reportFilter']
}

export interface Inbound {
  /** For the start message: `smtp://127.0.0.1:2525 (STARTTLS)`. */
  readonly listens: readonly string[]
  readonly addresses: readonly AddressInfo[]
  /** Reads the certificate files again now. */
  refreshCertificates(): Promise<void>
  close(): Promise<void>
}

const certificateCheckMs = 10_000

/**
 * Opens every listener of smtpd.conf, one server for each of its addresses.
 * @throws an error that names the listener and its line, with all that was open closed again
 */
export async function openInbound(parts: InboundParts): Promise<Inbound> {
  const limits = parts.limits ?? defaultLimits
  const shared = {
    limits,
    counter: new ConnectionCounter(limits.connections, limits.connectionsPerAddress),
    knownClients: new KnownClients(),
    guard: new LoginGuard(parts.monotonic),
    filterHost: await startFilters(parts),
  }
  const opened: OpenListener[] = []
  const close = async (): Promise<void> => {
    clearInterval(timer)
    await Promise.all(opened.map(({ server }) => server.shut()))
    await shared.filterHost.close()
  }
  const refreshCertificates = async (): Promise<void> => {
    for (const certificates of new Set(opened.map((one) => one.certificates))) await certificates?.refresh()
  }
  const timer = setInterval(() => void refreshCertificates(), certificateCheckMs)
  timer.unref()
  try {
    for (const listener of parts.configuration.listeners) {
      if (isOpen(listener, parts.configuration)) await openListener(listener, parts, shared, opened)
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    listens: opened.map((one) => one.text),
    addresses: opened.map((one) => one.address),
    refreshCertificates,
    close,
  }
}

interface OwnShared {
  readonly guard: LoginGuard
  readonly filterHost: FilterHost
}

/** Only those of listeners that are opened. */
function startFilters(parts: InboundParts): Promise<FilterHost> {
  const { configuration, log } = parts
  const stated = configuration.pipeline.filters
  const listeners = configuration.listeners.filter((listener) => isOpen(listener, configuration))
  return openFilterHost({
    filters: listeners.flatMap((listener) => listener.filters ?? []),
    admd: configuration.authservId,
    log,
    now: () => performance.timeOrigin + performance.now(),
    settings: parts.filterSettings ?? ((name) => stated.get(name) ?? {}),
  })
}

interface OpenListener {
  readonly server: InboundServer
  readonly certificates: Certificates | undefined
  readonly address: AddressInfo
  readonly text: string
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
  return listener.tag === undefined || !/^(?:lo0?|localhost|127\..*|::1)$/.test(listener.on)
    ? true
    : !returnPorts.includes(listener.port)
}

async function openListener(
  listener: Listener,
  parts: InboundParts,
  shared: Pick<Reception, 'limits' | 'counter' | 'knownClients'> & OwnShared,
  opened: OpenListener[],
): Promise<void> {
  const { configuration } = parts
  try {
    const certificates = await certificatesOf(listener, parts)
    const addresses = await bindAddresses({
      on: listener.on,
      interfaces: configuration.pipeline.interfaces,
      ...(listener.family === undefined ? {} : { family: listener.family }),
    })
    if (addresses.length === 0) throw new Error('no address of this machine belongs to it')
    for (const host of addresses) {
      const server = new InboundServer(receptionOf(listener, host, parts, shared), certificates)
      const address = await server.open(host, listener.port)
      opened.push({ server, certificates, address, text: describe(listener, address) })
    }
  } catch (error) {
    const { file, line } = listener.at
    throw new StartError(`${file}:${line}: listen on ${listener.on} port ${listener.port}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

function receptionOf(
  listener: Listener,
  host: string,
  parts: InboundParts,
  shared: Pick<Reception, 'limits' | 'counter' | 'knownClients'> & OwnShared,
): Reception {
  const { configuration, tables, pipeline, resolveRecipient, verifier, resolver, events, log, clock, monotonic } = parts
  const { limits, counter, knownClients, guard, filterHost } = shared
  const table = listener.auth.table ?? configuration.pipeline.login
  return {
    listener,
    name: endpoint(host, listener.port),
    hostname: listener.hostname ?? configuration.hostname,
    ...(listener.hostnames === undefined ? {} : { hostnameAt: hostnameAt(listener.hostnames, tables) }),
    configuration,
    tables,
    pipeline,
    resolveRecipient,
    clientName: (address) => findClientName(resolver, address),
    ...(listener.filters === undefined || listener.filters.length === 0
      ? {}
      : { filters: { chain: listener.filters, processes: filterHost.processes, tables, log } }),
    reportFilter: parts.reportFilter ?? ((fields) => events.filterReport(fields)),
    login: createLogin({ table, tables, verifier, guard, log }),
    events,
    log,
    clock,
    monotonic,
    counter,
    knownClients,
    limits,
  }
}

/** `hostnames`: the name of this host by the address a client connected to. */
function hostnameAt(names: Table, tables: InboundParts['tables']): NonNullable<Reception['hostnameAt']> {
  return async (address) => {
    const plain = address.replace(/%.*$/, '')
    for (const key of plain.includes(':') ? [plain, `[${plain}]`] : [plain]) {
      const name = await Promise.resolve(tables.lookup(names, key))
      if (name !== undefined) return name
    }
    return undefined
  }
}

async function certificatesOf(listener: Listener, parts: InboundParts): Promise<Certificates | undefined> {
  if (listener.tls === 'none') return undefined
  const { configuration, log } = parts
  const clientCa = listener.ca === undefined ? undefined : configuration.cas.get(listener.ca)
  const versions = tlsVersions(listener.protocols, configuration.pipeline.tlsMinimum)
  if (versions === undefined) throw new Error(`protocols "${listener.protocols ?? ''}" leaves no version of TLS`)
  const ciphers = listener.ciphers ?? configuration.ciphers
  return Certificates.open({
    pkis: pkisOf(listener, configuration),
    tls: { ...versions, ...(ciphers === undefined ? {} : { ciphers }) },
    onWarning: (message) => log.warn({ listener: listener.on }, message),
    ...(clientCa === undefined ? {} : { clientCa }),
  })
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

function describe(listener: Listener, { address, port }: AddressInfo): string {
  const words = []
  if (listener.tls === 'offered') words.push('STARTTLS')
  if (listener.tls === 'required') words.push('STARTTLS required')
  if (listener.auth.kind === 'required') words.push('AUTH required')
  if (listener.auth.kind === 'optional') words.push('AUTH')
  if (listener.tag !== undefined) words.push(`tag ${listener.tag}`)
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

function reasonOf(error: unknown): string {
  const known = listenErrors.get((error as NodeJS.ErrnoException).code ?? '')
  return known ?? (error instanceof Error ? error.message : String(error))
}
