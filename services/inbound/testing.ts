import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { createLiveConfiguration } from '../../shared/config/live-configuration.ts'
import type { Reload } from '../../shared/config/live-configuration.ts'
import type { Configuration, Listener, Pki, Table } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import { checkPassword } from '../../shared/crypt/check-password.ts'
import { usualEvents } from '../../shared/config/pipeline-system.ts'
import type { Events } from '../../shared/events.ts'
import { silentLog } from '../../shared/log.ts'
import { domainOf, localPart } from '../../shared/mail/address.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Pipeline } from '../../shared/pipeline/pipeline.ts'
import type { Resolver } from '../../shared/resolver.ts'
import type { IncomingContent, Locator } from '../../shared/spool/spool.ts'
import { defaultLimits } from './limits.ts'
import type { SessionLimits } from './limits.ts'
import { openInbound } from './open-inbound.ts'
import type { Inbound, InboundParts } from './open-inbound.ts'
import type { FilterReport, ResolveRecipient } from './reception.ts'

/** An inbound service with everything behind it in memory, for tests. */
export interface TestInbound extends Inbound {
  /** Port of the first listener. */
  readonly port: number
  readonly accepted: AcceptedMessage[]
  /** Names of events, in order. */
  readonly events: string[]
  /** What each event was told, in the same order. */
  readonly told: unknown[]
  readonly filterReports: FilterReport[]
  /** What the `rejected` events said. */
  readonly rejections: Rejection[]
  /** Contents that were begun and given up. */
  readonly aborted: () => number
  /** Resolves at the next event of that name. */
  nextEvent(name: string): Promise<void>
  /** The configuration it was started with, with these changes, takes the place of the one in force. */
  reload(changes: Partial<Configuration>): Promise<Reload>
  /** Resolves when the next content is given up. */
  nextAbort(): Promise<void>
}

export type Rejection = Parameters<Events['rejected']>[0]

export interface AcceptedMessage {
  readonly envelope: Envelope
  readonly fate?: Parameters<Pipeline['accept']>[3]
  /** As it was sent, dots un-stuffed. */
  readonly content: string
  /** With the edits of acceptance. */
  readonly message: string
}

export interface TestInboundOptions {
  readonly listener?: Partial<Listener>
  readonly configuration?: Partial<Configuration>
  readonly limits?: Partial<SessionLimits>
  readonly resolveRecipient?: ResolveRecipient
  readonly accept?: Pipeline['accept']
  /** Absent: nobody says anything about a message before it is accepted. */
  readonly decide?: Pipeline['decide']
  readonly write?: IncomingContent['write']
  readonly filterSettings?: InboundParts['filterSettings']
  readonly ticketFile?: string
  /** Absent: there is no name at all. */
  readonly resolver?: Resolver
  readonly sleep?: InboundParts['sleep']
  /** Absent: nobody has to wait. */
  readonly greylist?: InboundParts['greylist']
  readonly queues?: InboundParts['queues']
  readonly measureLoad?: InboundParts['measureLoad']
  /** Absent: nothing waits. */
  readonly flush?: InboundParts['flush']
}

const at = { file: 'smtpd.conf', line: 7, column: 1 } as const

export const testPki: Pki = pki('server')
export const remotePki: Pki = pki('remote')
/** With an RSA key, which finite-field Diffie-Hellman needs. */
export const rsaPki: Pki = pki('rsa')

/** `jane` with the password `secret`. */
export const credentials: Table = inlineMap('creds', {
  jane: '$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8',
})

/** The parts of pipeline.conf that listeners ask for. */
export const testPipeline = {
  dashboard: { host: '127.0.0.1', port: 8080 },
  queues: new Map(),
  interfaces: new Map(),
  filters: new Map(),
  beforeAccept: [],
  strangersRelay: [],
  externals: [],
  trustedProxies: [],
  extensions: { smtpUtf8: true },
  sessions: [],
  rates: [],
  bans: [],
  headerRules: [],
  contentRules: { mimeHeader: [], nestedHeader: [], body: [], bodyBytes: 51_200 },
  rewriting: { canonical: [], completeAddresses: true },
  login: [],
  auth: { mechanisms: ['PLAIN', 'LOGIN'], withoutTls: false },
  restrictions: [],
  delayRefusals: true,
  tlsMinimum: 'TLSv1.2',
  events: usualEvents,
} as unknown as Configuration['pipeline']

export function inlineMap(name: string, entries: Readonly<Record<string, string>>): Table {
  return { name, source: { kind: 'inline', map: new Map(Object.entries(entries)) }, at }
}

export async function startInbound(options: TestInboundOptions = {}): Promise<TestInbound> {
  const memory = inMemoryPipeline(options)
  const events: string[] = []
  const told: unknown[] = []
  const filterReports: FilterReport[] = []
  const rejections: Rejection[] = []
  const signals = new EventTarget()
  const configuration = testConfiguration(options)
  const loaded = { configuration, warnings: [], statedAt: new Map(), texts: new Map() }
  let next = loaded
  const live = createLiveConfiguration(loaded, async () => next)
  const inbound = await openInbound({
    configuration,
    tables: openTables(),
    pipeline: memory.pipeline,
    live,
    recipientResolver: () => options.resolveRecipient ?? resolveTestRecipient,
    resolver: options.resolver ?? silentResolver,
    greylist: options.greylist ?? { waitMs: () => Promise.resolve(0) },
    flush: options.flush ?? (() => Promise.resolve(0)),
    ...(options.sleep === undefined ? {} : { sleep: options.sleep }),
    ...(options.queues === undefined ? {} : { queues: options.queues }),
    // A slow machine is no reason for a test to be refused.
    measureLoad: options.measureLoad ?? (() => ({ delayMs: 0, heapShare: 0 })),
    events: recordingEvents(events, told, rejections, signals),
    log: silentLog(),
    clock: { now: () => Date.UTC(2026, 10, 21, 3, 22, 5) },
    verifier: { verify: (password, hash) => Promise.resolve(checkPassword(password, hash)) },
    monotonic: () => performance.now(),
    ...(options.ticketFile === undefined ? {} : { ticketFile: options.ticketFile }),
    ...(options.filterSettings === undefined ? {} : { filterSettings: options.filterSettings }),
    reportFilter: (fields) => filterReports.push(fields),
    limits: { ...defaultLimits, greetingWaitMs: 0, authDelayMs: 0, drainMs: 1_000, ...options.limits },
  })
  const nextEvent = async (name: string): Promise<void> => {
    await once(signals, name)
  }
  const reload = (changes: Partial<Configuration>): Promise<Reload> => {
    next = { ...loaded, configuration: { ...configuration, ...changes } }
    return live.reload()
  }
  const port = inbound.addresses[0]?.port ?? 0
  return { ...inbound, ...memory, port, events, told, filterReports, rejections, nextEvent, reload }
}

/** `jane@example.org`, `john@` and `postmaster@` are there, `list@` has two members; other domains are relayed for users only. */
const resolveTestRecipient: ResolveRecipient = async (envelope, mailbox) => {
  const accepted = (...mailboxes: readonly (typeof mailbox)[]) => ({
    kind: 'accepted' as const,
    recipients: mailboxes.map((one) => ({ mailbox: one })),
  })
  if (!['example.org', 'mx.sluice.test'].includes(domainOf(mailbox)))
    return envelope.origin.user === undefined ? { kind: 'rejected', reply: replies.relayDenied } : accepted(mailbox)
  switch (localPart(mailbox).toLowerCase().replace(/\+.*/, '')) {
    case 'jane':
    case 'john':
    case 'postmaster':
      return accepted(mailbox)
    case 'list':
      return accepted('jane@example.org' as typeof mailbox, 'john@example.org' as typeof mailbox)
    case 'broken':
      throw new Error('table cannot be read')
    default:
      return { kind: 'rejected', reply: replies.invalidRecipient }
  }
}

function inMemoryPipeline(options: TestInboundOptions) {
  const accepted: AcceptedMessage[] = []
  const chunks = new WeakMap<IncomingContent, Buffer[]>()
  const aborts = new EventTarget()
  let aborted = 0
  const pipeline: Pick<Pipeline, 'receive' | 'accept' | 'decide'> = {
    receive() {
      const parts: Buffer[] = []
      const content: IncomingContent = {
        get sizeBytes() {
          return parts.reduce((sum, part) => sum + part.length, 0)
        },
        write(chunk) {
          parts.push(chunk)
          return options.write?.(chunk)
        },
        draft: () => Promise.reject(new Error('not used')),
        commit: () => Promise.reject(new Error('not used')),
        abort() {
          aborted += 1
          aborts.dispatchEvent(new Event('abort'))
          return Promise.resolve()
        },
      }
      chunks.set(content, parts)
      return content
    },
    decide: options.decide ?? (() => Promise.resolve(undefined)),
    async accept(envelope, content, edits, fate) {
      const written = Buffer.concat(chunks.get(content) ?? [])
      const locator = await options.accept?.(envelope, content, edits)
      accepted.push({
        envelope,
        ...(fate === undefined ? {} : { fate }),
        content: written.toString('latin1'),
        message: edited(written, edits),
      })
      return locator ?? ({ segment: 'memory', offset: 0 } as Locator)
    },
  }
  return {
    accepted,
    aborted: () => aborted,
    async nextAbort() {
      await once(aborts, 'abort')
    },
    pipeline: pipeline as Pipeline,
  }
}

function edited(content: Buffer, edits: Parameters<typeof applyEdits>[1]): string {
  const end = content.indexOf('\r\n\r\n')
  const split = content.subarray(0, 2).toString() === '\r\n' ? 2 : end < 0 ? content.length : end + 4
  return Buffer.concat([applyEdits(content.subarray(0, split), edits), content.subarray(split)]).toString('latin1')
}

function testConfiguration({ listener, configuration }: TestInboundOptions): Configuration {
  const one: Listener = {
    on: '127.0.0.1',
    port: 0,
    tls: 'none',
    verifyClient: false,
    pkis: [],
    auth: { kind: 'none' },
    maskSource: false,
    receivedAuth: false,
    noDsn: false,
    proxy: false,
    at,
    ...listener,
  }
  return {
    revision: 'test',
    hostname: 'mx.sluice.test',
    authservId: 'mx.sluice.test',
    listeners: [one],
    pkis: new Map([['server', testPki]]),
    cas: new Map(),
    maxMessageBytes: 1_000_000,
    maxRecipients: 100,
    maxMailsPerSession: 100,
    subAddressDelimiter: '+',
    pipeline: testPipeline,
    ...configuration,
  } as Configuration
}

const silentResolver: Resolver = {
  mx: () => Promise.resolve({ kind: 'absent', name: true }),
  a: () => Promise.resolve({ kind: 'absent', name: true }),
  aaaa: () => Promise.resolve({ kind: 'absent', name: true }),
  txt: () => Promise.resolve({ kind: 'absent', name: true }),
  ptr: () => Promise.resolve({ kind: 'absent', name: true }),
  close: () => undefined,
}

function recordingEvents(names: string[], told: unknown[], rejections: Rejection[], signals: EventTarget): Events {
  return new Proxy({} as Events, {
    get: (_, name) => (fields: unknown) => {
      names.push(String(name))
      told.push(fields)
      if (name === 'rejected') rejections.push(fields as Rejection)
      signals.dispatchEvent(new Event(String(name)))
    },
  })
}

function pki(name: string): Pki {
  const file = (extension: string): string =>
    fileURLToPath(new URL(`../../test/fixtures/tls/${name}.${extension}`, import.meta.url))
  return { name, cert: file('pem'), key: file('key'), dhe: 'none', at }
}
