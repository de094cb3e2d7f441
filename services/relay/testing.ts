import type { Action, Configuration, LaneSettings, Listener, RelayAction, Table } from '../../shared/config/model.ts'
import type { RelayLogin, TableSet } from '../../shared/config/tables.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Events } from '../../shared/events.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope, RelayOrder } from '../../shared/mail/envelope.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { stageMessage as messageInMemory } from '../../shared/pipeline/testing.ts'
import { QueueUnavailableError } from '../../shared/queue/queues.ts'
import type { BackOff, Lanes, Penalties, RateGate } from '../../shared/queue/queues.ts'
import type { LookUp, MxRecord, Resolver } from '../../shared/resolver.ts'

const at = { file: 'smtpd.conf', line: 5, column: 1 }

export function relayAction(more: Partial<RelayAction> = {}): Action & RelayAction {
  return { name: 'out', kind: 'relay', srs: false, at, ...more }
}

export function listTable(name: string, list: readonly string[]): Table {
  return { name, source: { kind: 'inline', list }, at }
}

/** Zones of a test: what is not named does not exist; `fail` is a server that does not answer. */
export interface Zones {
  readonly mx?: Readonly<Record<string, readonly MxRecord[] | 'fail'>>
  readonly a?: Readonly<Record<string, readonly string[] | 'fail'>>
  readonly aaaa?: Readonly<Record<string, readonly string[] | 'fail'>>
  readonly txt?: Readonly<Record<string, readonly string[] | 'fail'>>
}

export function fakeResolver(zones: Zones): Resolver {
  const names = new Set([zones.mx, zones.a, zones.aaaa].flatMap((zone) => Object.keys(zone ?? {})))
  const answer = async <T>(name: string, found: readonly T[] | 'fail' | undefined): Promise<LookUp<T>> => {
    if (found === 'fail') return { kind: 'failed', error: new Error('SERVFAIL') }
    return found === undefined ? { kind: 'absent', name: !names.has(name) } : { kind: 'found', records: found }
  }
  return {
    mx: (name) => answer(name, zones.mx?.[name]),
    a: (name) => answer(name, zones.a?.[name]),
    aaaa: (name) => answer(name, zones.aaaa?.[name]),
    txt: (name) => answer(name, zones.txt?.[name]),
    ptr: (name) => answer<string>(name, undefined),
    close: () => {},
  }
}

export interface Surroundings {
  readonly action?: Action
  readonly zones?: Zones
  readonly relayPort?: number
  readonly externals?: Configuration['pipeline']['externals']
  readonly listeners?: readonly Partial<Listener>[]
  readonly logins?: Readonly<Record<string, RelayLogin>>
  readonly cas?: ReadonlyMap<string, string>
  readonly srs?: Configuration['srs']
  /** Of `mta limit`. */
  readonly limits?: Readonly<Record<string, number>>
  readonly family?: 4 | 6
  /** Of the queue: half of it may be at work for a slow destination. */
  readonly concurrency?: number
  readonly lanes?: Partial<Lanes>
  readonly backOff?: BackOff
  readonly rateGate?: RateGate
  /** Shared by all processes; absent: Redis is away. */
  readonly penalties?: Penalties
  /** Of `lane default`. */
  readonly lane?: LaneSettings
  readonly mxLanes?: ReadonlyMap<string, LaneSettings>
  readonly lanesOf?: ReadonlyMap<string, LaneSettings>
  readonly clock?: Clock
  readonly mtaSts?: Configuration['pipeline']['mtaSts']
  /** `dane opportunistic`, with these resolvers. */
  readonly validatingResolvers?: readonly string[]
  readonly tlsCa?: string
  readonly aggregateReports?: Configuration['pipeline']['aggregateReports']
  /** `relay eight-bit`. */
  readonly eightBit?: Configuration['pipeline']['relayEightBit']
  /** `events smtp-talk`. */
  readonly smtpTalk?: true
  readonly dataFolder?: string
  readonly events?: Partial<Events>
}

/** The part of a service's surroundings that the relay looks at. */
export function stageContext(surroundings: Surroundings): StageContext {
  const { action = relayAction(), zones = {}, relayPort = 25, externals = [] } = surroundings
  const queues = new Map([['relay', { concurrency: surroundings.concurrency ?? 50, timeoutMs: 60_000 }]])
  const configuration = {
    revision: 'test',
    hostname: 'mail.example.org',
    listeners: surroundings.listeners ?? [],
    actions: new Map([[action.name, action]]),
    cas: surroundings.cas ?? new Map(),
    pkis: new Map(),
    srs: surroundings.srs,
    limits: {
      mta: new Map(Object.entries(surroundings.limits ?? {})),
      mtaDomains: new Map(),
      ...(surroundings.family === undefined ? {} : { mtaFamily: surroundings.family }),
    },
    pipeline: {
      mtaSts: surroundings.mtaSts ?? { mode: 'off', port: 443 },
      dane: surroundings.validatingResolvers === undefined ? 'off' : 'opportunistic',
      validatingResolvers: surroundings.validatingResolvers ?? [],
      ...(surroundings.tlsCa === undefined ? {} : { tlsCa: surroundings.tlsCa }),
      relayPort,
      aggregateReports: surroundings.aggregateReports ?? {},
      relayEightBit: surroundings.eightBit ?? 'convert',
      lanes: {
        default: surroundings.lane ?? { backOff: 'off' },
        mx: surroundings.mxLanes ?? new Map(),
        domains: surroundings.lanesOf ?? new Map(),
      },
      tlsMinimum: 'TLSv1.2',
      events: surroundings.smtpTalk === true ? { smtpTalk: true } : {},
      externals,
      queues,
    },
  } as unknown as Configuration
  const tables = {
    entries: (table: Table) => (table.source.kind === 'inline' ? (table.source.list ?? []) : []),
    relayLogin: (_table: Table, label: string) => surroundings.logins?.[label],
  } as unknown as TableSet
  return {
    configuration,
    tables,
    resolver: fakeResolver(zones),
    log: silentLog(),
    clock: surroundings.clock ?? { now: () => Date.now() },
    queues: {
      lanes: surroundings.lanes,
      backOff: surroundings.backOff,
      rateGate: surroundings.rateGate,
      penalties: surroundings.penalties ?? penaltiesAway(),
    },
    events: surroundings.events,
    // Nothing can be written below it.
    dataFolder: surroundings.dataFolder ?? '/dev/null/none',
    signal: new AbortController().signal,
  } as unknown as StageContext
}

function penaltiesAway(): Penalties {
  const away = (): Promise<never> => Promise.reject(new QueueUnavailableError('Redis is away'))
  return { waitMs: away, failed: away, worked: away, untried: away }
}

export interface TestMessage {
  readonly to?: readonly string[]
  readonly destination?: string
  readonly order?: RelayOrder
  readonly edits?: readonly HeaderEdit[]
  readonly content?: string
  readonly envelope?: Partial<Envelope>
}

export function stageMessage(parts: TestMessage = {}): StageMessage {
  const { to = ['jane@far.test'], edits = [], destination = 'far.test' } = parts
  const content = Buffer.from(parts.content ?? 'Subject: Hello\r\n\r\nHow are you?\r\n')
  const envelope: Envelope = {
    id: '0mf4example000000' as MessageId,
    reversePath: 'joe@example.org' as Mailbox,
    recipients: to.map((mailbox) => ({ mailbox: mailbox as Mailbox })),
    tags: [],
    origin: { kind: 'local' },
    receivedAt: 0,
    ...parts.envelope,
  }
  const order = parts.order === undefined ? {} : { order: parts.order }
  return { ...messageInMemory(content, envelope, edits), action: 'out', destination, ...order }
}
