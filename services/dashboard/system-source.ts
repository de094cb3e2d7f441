import { viewRuleHits } from '../../shared/rule-hits/view.ts'
import { deadAfterMs, readHeartbeats, withoutReplaced } from '../../shared/heartbeat.ts'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Configuration, LaneSettings, Lanes, Listener } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { lastDays } from '../../shared/received-reports/period.ts'
import { ReceivedReportsReader } from '../../shared/received-reports/reader.ts'
import { receivedReportsFolder } from '../../shared/received-reports/store.ts'
import { viewAbuse, viewDmarc, viewTls } from '../../shared/received-reports/views.ts'
import { readDestinationBook } from '../../shared/destinations/read-book.ts'
import { nextHost } from '../../shared/mail/next-host.ts'
import { readDestinations } from '../../shared/report/destinations.ts'
import { flowsOf } from '../../shared/report/flow.ts'
import { defaultTargetMs } from '../../shared/report/queue-health.ts'
import { viewMessage } from '../../shared/report/message-view.ts'
import type { MessageSources } from '../../shared/report/message-view.ts'
import { readShares } from '../../shared/report/queue-shares.ts'
import type { SharedQueues } from '../../shared/report/queue-shares.ts'
import { readHeld, readJobs, readJobsOf, readQueues, workQueues } from '../../shared/report/read-queues.ts'
import type { ReadableQueues } from '../../shared/report/read-queues.ts'
import { withTimeLimit } from '../../shared/deadline.ts'
import { formatDuration, formatSize, plural } from '../../shared/report/units.ts'
import type { JobView, Seen } from '../../shared/report/views.ts'
import { relayActions } from '../../shared/operate/relay-order.ts'
import { explain, renderExplanation } from '../../shared/routing/explain.ts'
import type { MessageSearch } from '../../shared/store/message-search.ts'
import { hourMs } from '../../shared/store/hours.ts'
import { QueryError, parseQuery } from '../../shared/store/query.ts'
import { localAddresses } from '../../shared/system.ts'
import type { EventTail } from '../../shared/event-tail.ts'
import { patient } from './patient.ts'
import { previewOf } from './preview.ts'
import type { Preview } from './preview.ts'
import type { DaySeen } from './pages/day-section.ts'
import { jobStates } from './pages/queue-page.ts'
import type {
  Health,
  HealthCheck,
  JobQuestion,
  ListenerView,
  Overview,
  QueueDetail,
  ServiceView,
  Source,
} from './source.ts'

export interface SourceParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly tables: TableSet
  readonly queues: SharedQueues
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf' | 'story'>
  readonly search: Pick<MessageSearch, 'search' | 'traffic' | 'recipientDomains'>
  /** Apart from the searches of those who wait. */
  readonly counting: Pick<MessageSearch, 'hours'>
  /** Free octets of the spool; rejects when it cannot be written to. */
  spoolFreeBytes(): Promise<number>
  readonly eventTail: EventTail
  readonly dataFolder: string
  readonly clock: Clock
}

const redisLimitMs = 1_500
const spoolLimitMs = 2_000
/** Longer: a message that is neither queued nor young is looked for in the whole spool. */
const messageLimitMs = 10_000
const explainLimitMs = 10_000
/** The first question reads the files, later ones what is new. */
const reportsLimitMs = 20_000
const attentionRows = 8
/** Held messages among which those that no filter keeps back are looked for. */
const heldLookedAt = 200
/** Each of them is read whole. */
const attentionKeptMs = 6_000
/** Jobs of each state that destinations are made of: pages ask every two seconds. */
const lookedAt = 300
/** Each of them is read whole. */
const sharesLookedAt = 500
const sharesKeptMs = 10_000
const bookKeptMs = 5_000
/** All copies of the day are gone through. */
const dayKeptMs = 60_000
const patienceMs = 1_000

/** Reads queues, spool, journal and heartbeats; Redis may be away at any time. */
export function createSource(parts: SourceParts): Source {
  const { queues, messages, clock, dataFolder, eventTail } = parts
  const book = kept(bookKeptMs, clock, () => readDestinationBook(dataFolder, clock.now()))
  const shares = kept(
    sharesKeptMs,
    clock,
    () => asked(readShares(queues, sharesLookedAt)),
    ({ kind }) => kind === 'seen',
  )

  const attention = kept(
    attentionKeptMs,
    clock,
    () => asked(readAttention(queues)),
    ({ kind }) => kind === 'seen',
  )

  const countDay = async (): Promise<DaySeen> => {
    const sinceAt = dayBegin(clock.now())
    return { sinceAt, ...(await seen('the message store', reportsLimitMs, parts.counting.hours(sinceAt))) }
  }
  const day = patient(kept(dayKeptMs, clock, countDay), patienceMs)

  const received = new ReceivedReportsReader(receivedReportsFolder(dataFolder))

  function inTime<T>(work: Promise<T>): Promise<T> {
    return withTimeLimit(reportsLimitMs, 'the reports could not be read', work)
  }

  function asked<T>(work: Promise<T>): Promise<Seen<T>> {
    return seen('Redis', redisLimitMs, work)
  }

  function foundations(): Promise<readonly HealthCheck[]> {
    return Promise.all([
      check('redis', redisLimitMs, clock, async () => plural((await queues.counts()).size, 'queue')),
      check('spool', spoolLimitMs, clock, async () => `${formatSize(await parts.spoolFreeBytes())} free`),
    ])
  }

  return {
    async overview(): Promise<Overview> {
      const { configuration } = parts
      const [views, look, beats] = await Promise.all([
        asked(readQueues(queues)),
        attention(),
        readHeartbeats(dataFolder, clock.now()),
      ])
      return {
        at: clock.now(),
        hostname: configuration.hostname,
        revision: configuration.revision,
        listeners: configuration.listeners.map(listenerView),
        queues: views,
        flows: flowsOf(beats, clock.now()),
        targetsMs: new Map([...configuration.pipeline.queues].map(([name, { targetMs }]) => [name, targetMs])),
        services: servicesOf(beats, clock.now()),
        attention: look,
      }
    },

    shares,

    events: async (limit, filter) => ({ at: clock.now(), ...(await eventTail.latest(limit, filter)) }),
    eventTail,

    async queue(name: string, question: JobQuestion): Promise<QueueDetail | undefined> {
      if (!workQueues(queues).includes(name)) return undefined
      const states = question.state === undefined ? jobStates : [question.state]
      const [views, jobs, beats] = await Promise.all([
        asked(readQueues(queues)),
        asked(readJobs(queues, name, states, question)),
        readHeartbeats(dataFolder, clock.now()),
      ])
      const queue =
        views.kind === 'away' ? views : ({ kind: 'seen', value: views.value.find((one) => one.name === name) } as const)
      if (queue.kind === 'seen' && queue.value === undefined) return undefined
      const flow = flowsOf(beats, clock.now()).get(name)
      return {
        queue: queue as QueueDetail['queue'],
        ...(flow === undefined ? {} : { flow }),
        targetMs: parts.configuration.pipeline.queues.get(name)?.targetMs ?? defaultTargetMs,
        jobs,
        question,
        at: clock.now(),
      }
    },

    held: async ({ start, limit }) => ({ jobs: await asked(readHeld(queues, limit, start)), at: clock.now() }),

    async find({ query, ...page }) {
      const at = clock.now()
      const question = { query: parseQuery(query, at), ...page }
      try {
        return { at, found: { kind: 'seen', value: await parts.search.search(question) } }
      } catch (error) {
        if (error instanceof QueryError) throw error
        return { at, found: { kind: 'away', reason: (error as Error).message } }
      }
    },

    message(id: MessageId) {
      const sources: MessageSources = { ...messages, jobsOf: (one) => asked(readJobsOf(queues, one)) }
      return withTimeLimit(messageLimitMs, 'no answer of the spool', viewMessage(sources, id))
    },

    content: (id) => withTimeLimit(messageLimitMs, 'no answer of the spool', messages.find(id)),

    preview: (id) => withTimeLimit(messageLimitMs, 'no answer of the spool', readPreview(messages, id)),

    destinations: async () => ({
      seen: await asked(book().then((known) => readDestinations(queues, { book: known, limit: lookedAt }))),
      at: clock.now(),
    }),

    async destination(name) {
      const known = await book()
      const seen = await asked(readDestinations(queues, { book: known, limit: lookedAt }))
      const view = seen.kind === 'seen' ? seen.value.destinations.find((one) => isSame(one.name, name)) : undefined
      const history = known.get(nextHost(name))
      return {
        name,
        ...(view === undefined ? {} : { view }),
        ...(history === undefined ? {} : { history }),
        settings: laneSettings(parts.configuration.pipeline.lanes, nextHost(name), view?.lane),
      }
    },

    reports: {
      dmarc: (question) => inTime(viewDmarc(received, question, clock.now())),
      tls: (question) => inTime(viewTls(received, question, clock.now())),
      abuse: (question) => inTime(viewAbuse(received, question, clock.now())),
      async traffic(days) {
        const { sinceAt } = lastDays(days, clock.now())
        return { sinceAt, ...(await seen('the message store', reportsLimitMs, parts.search.traffic(sinceAt))) }
      },
      hours: async () =>
        (await day()) ?? { sinceAt: dayBegin(clock.now()), kind: 'away', reason: 'it is being counted' },
      async recipients(days) {
        const { sinceAt } = lastDays(days, clock.now())
        const asked = parts.search.recipientDomains(sinceAt)
        return { sinceAt, ...(await seen('the message store', reportsLimitMs, asked)) }
      },
    },

    rules: () => viewRuleHits(parts.dataFolder, parts.configuration, clock.now()),
    relayActions: () => relayActions(parts.configuration),

    async explain({ recipient, transaction }) {
      const { configuration } = parts
      const asked = { configuration, transaction, localAddresses: localAddresses() }
      const nowAt = clock.now()
      const answer = settle(parts.tables, (tables) => explain({ ...asked, tables }, recipient, nowAt))
      return renderExplanation(await withTimeLimit(explainLimitMs, 'no answer of a table', Promise.resolve(answer)))
    },

    async health(): Promise<Health> {
      const [dependencies, services] = await Promise.all([
        foundations(),
        readHeartbeats(dataFolder, clock.now()).then((beats) => servicesOf(beats, clock.now())),
      ])
      const checks = [
        ...dependencies,
        configurationCheck(parts.configuration.revision, services),
        ...services.map((service) => serviceCheck(service, clock.now())),
      ]
      return { healthy: checks.every((one) => one.healthy), checks }
    },

    async readiness(): Promise<Health> {
      const checks = [...(await foundations()), configurationCheck(parts.configuration.revision, [])]
      return { healthy: checks.every((one) => one.healthy), checks }
    },
  }
}

async function readPreview(messages: SourceParts['messages'], id: MessageId): Promise<Preview | undefined> {
  const stored = await messages.find(id)
  return stored && previewOf(stored)
}

/** Asks anew when the last answer is older than this, or none; while Redis is away at each time. */
function kept<T>(
  forMs: number,
  clock: Clock,
  ask: () => Promise<T>,
  isAnswer: (answer: T) => boolean = () => true,
): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined
  return async () => {
    const nowAt = clock.now()
    if (last === undefined || nowAt - last.at >= forMs) last = { at: nowAt, answer: ask() }
    const answer = await last.answer
    if (!isAnswer(answer)) last = undefined
    return answer
  }
}

function isSame(one: string, other: string): boolean {
  return one === other || nextHost(one) === nextHost(other)
}

/** @param lane of domains with the same MX */
function laneSettings(lanes: Lanes, name: string, lane: string | undefined): LaneSettings {
  const own = lanes.domains.get(name) ?? (lane === undefined ? undefined : lanes.mx.get(lane))
  return { ...lanes.default, ...own }
}

/** When the first of 24 hours began, the one that is not over being the last. */
function dayBegin(nowAt: number): number {
  return nowAt - (nowAt % hourMs) - 23 * hourMs
}

async function seen<T>(what: string, limitMs: number, work: Promise<T>): Promise<Seen<T>> {
  try {
    return { kind: 'seen', value: await withTimeLimit(limitMs, `no answer of ${what}`, work) }
  } catch (error) {
    return { kind: 'away', reason: (error as Error).message }
  }
}

/** First what is held by trouble or by hand, then of those whose next attempt is due first the oldest. */
async function readAttention(queues: ReadableQueues): Promise<readonly JobView[]> {
  const held = (await readHeld(queues, heldLookedAt)).filter(({ quarantine }) => quarantine === undefined)
  const delayed = await Promise.all(
    workQueues(queues).map((name) => readJobs(queues, name, ['delayed'], { start: 0, limit: attentionRows })),
  )
  const byAge = delayed.flat().toSorted((one, other) => one.receivedAt - other.receivedAt)
  return [...held, ...byAge].slice(0, attentionRows)
}

function servicesOf(beats: readonly Heartbeat[], nowAt: number): readonly ServiceView[] {
  const views = withoutReplaced(beats, nowAt).map((beat) => ({
    name: beat.service,
    host: beat.host,
    pid: beat.pid,
    startedAt: beat.startedAt,
    beatAt: beat.at,
    silent: nowAt - beat.at > deadAfterMs,
    listens: beat.listens,
    ...(beat.connections === undefined ? {} : { connections: beat.connections }),
    ...(beat.versions === undefined ? {} : { versions: beat.versions }),
    troubles: beat.troubles,
    ...(beat.notes === undefined ? {} : { notes: beat.notes }),
    ...(beat.configuration === undefined ? {} : { configuration: beat.configuration }),
    ...(beat.lastJobAt === undefined ? {} : { lastJobAt: beat.lastJobAt }),
  }))
  return views.toSorted((one, other) => one.name.localeCompare(other.name) || one.pid - other.pid)
}

async function check(name: string, limitMs: number, clock: Clock, ask: () => Promise<string>): Promise<HealthCheck> {
  const startedAt = clock.now()
  try {
    const detail = await withTimeLimit(limitMs, `no answer of ${name}`, ask())
    return { name, healthy: true, tookMs: clock.now() - startedAt, detail }
  } catch (error) {
    return { name, healthy: false, tookMs: clock.now() - startedAt, detail: (error as Error).message }
  }
}

/** Never unhealthy: whoever restarted a service for a bad file would make it stop. */
function configurationCheck(revision: string, services: readonly ServiceView[]): HealthCheck {
  const fault = services.find(({ silent, configuration }) => !silent && configuration?.fault !== undefined)
  const detail = fault?.configuration?.fault?.split('\n')[0]
  return {
    name: 'configuration',
    healthy: true,
    tookMs: 0,
    detail: detail === undefined ? `revision ${revision}` : `revision ${revision} stays in force: ${detail}`,
  }
}

function serviceCheck(service: ServiceView, nowAt: number): HealthCheck {
  const name = `service ${service.name} (${service.pid} on ${service.host})`
  const { lastJobAt } = service
  const work = lastJobAt === undefined ? 'no job yet' : `last job ${formatDuration(Math.max(0, nowAt - lastJobAt))} ago`
  const detail = service.silent
    ? `silent for ${formatDuration(nowAt - service.beatAt)}`
    : [...service.troubles, work].join('; ')
  return {
    name,
    healthy: !service.silent && service.troubles.length === 0,
    tookMs: 0,
    detail,
    ...(lastJobAt === undefined ? {} : { lastJobAgeMs: Math.max(0, nowAt - lastJobAt) }),
  }
}

function listenerView(listener: Listener): ListenerView {
  return {
    address: `${listener.on}:${listener.port}`,
    purpose: listener.auth.kind === 'required' ? 'submission' : 'mta',
    tls: listener.tls,
  }
}
