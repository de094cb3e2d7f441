import { hourMs } from '../../shared/destinations/known.ts'
import type { DestinationHistory } from '../../shared/destinations/known.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { ReceivedReport } from '../../shared/received-reports/model.ts'
import type { ReportKind, ReportOf, ReportsReader } from '../../shared/received-reports/reader.ts'
import { viewAbuse, viewDmarc, viewTls } from '../../shared/received-reports/views.ts'
import type { JournalEntry } from '../../shared/journal.ts'
import { defaultTargetMs } from '../../shared/report/queue-health.ts'
import { tagsOf } from '../../shared/report/queue-shares.ts'
import { destinationsOf, withHistory } from '../../shared/report/destinations.ts'
import type { JobView, MessageView, QueueView, Seen } from '../../shared/report/views.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import type { FoundPage } from '../../shared/store/found-message.ts'
import type { HourCounts } from '../../shared/store/hours.ts'
import { parseQuery } from '../../shared/store/query.ts'
import type { RecipientDomain, Traffic } from '../../shared/store/traffic.ts'
import type { Preview } from './preview.ts'
import type { Health, Overview, Source } from './source.ts'

/** A made-up state of affairs, for tests of the pages. */
export const sampleAt = Date.UTC(2026, 10, 21, 12, 0, 0)
export const sampleId = '0mi8v2c4bm00000001' as MessageId

/** What example.net said: a destination that also has a message in `sampleJob`, and one that has none. */
export const sampleBook: ReadonlyMap<string, DestinationHistory> = new Map(
  ['example.net', '<i>quiet</i>.example'].map((name): [string, DestinationHistory] => [
    name,
    {
      name,
      hours: [
        { at: sampleAt - 3 * hourMs, sent: 40, later: 2, refused: 0 },
        { at: sampleAt - hourMs, sent: 12, later: 1, refused: 3 },
      ],
      refusals: [
        {
          replyClass: 'unknown-user',
          times: 3,
          reply: '550 5.1.1 <script>alert(1)</script> no such user',
          host: 'mx.example.net[192.0.2.1]:25',
          at: sampleAt - hourMs,
        },
      ],
      tls: { session: 'TLSv1.3 TLS_AES_256_GCM_SHA384', trust: 'dane', at: sampleAt - 60_000 },
      policy: { type: 'dane', at: sampleAt - 60_000 },
      lastAt: sampleAt - 60_000,
    },
  ]),
)

export function sampleQueue(name: string, numbers: Partial<QueueView> = {}): QueueView {
  return { name, paused: false, waiting: 0, active: 0, delayed: 0, held: 0, ...numbers }
}

export function sampleJob(fields: Partial<JobView> = {}): JobView {
  return {
    queue: 'relay',
    jobId: `${sampleId}.relay.0`,
    id: sampleId,
    state: 'delayed',
    receivedAt: sampleAt - 3_725_000,
    sizeBytes: 48_213,
    from: mailbox('jane@example.org'),
    to: [mailbox('joe@example.net')],
    rcpt: [0],
    tags: ['Signed'],
    path: ['sign'],
    edits: [],
    attempts: 2,
    nextAt: sampleAt + 400_000,
    lastReply: '451 4.7.1 Greylisted, please try again in 300 seconds',
    ...fields,
  }
}

export function sampleMessage(fields: Partial<MessageView> = {}): MessageView {
  return {
    id: sampleId,
    acceptedAt: sampleAt - 3_725_000,
    knownFrom: 'spool',
    from: mailbox('jane@example.org'),
    recipients: [{ mailbox: 'joe@example.net', state: 'delayed', detail: '451 4.7.1 Greylisted' }],
    sizeBytes: 48_213,
    origin: [{ name: 'client', value: '192.0.2.1' }],
    tags: ['Signed'],
    edits: ['add Received: from laptop (192.0.2.1) by mx.example.org'],
    stages: [
      {
        stage: 'acceptance',
        changes: [{ kind: 'added', text: 'Received: from laptop (192.0.2.1) by mx.example.org' }],
      },
    ],
    nextTalks: [],
    talk: [],
    verdicts: [],
    jobs: { kind: 'seen', value: [sampleJob()] },
    queues: ['filter'],
    story: [{ at: sampleAt - 3_725_000, event: 'received', text: 'received from jane@example.org', tone: 'plain' }],
    ...fields,
  }
}

export function sampleOverview(fields: Partial<Overview> = {}): Overview {
  return {
    at: sampleAt,
    hostname: 'mx.example.org',
    revision: '4f2a90c1d7e3',
    listeners: [
      { address: '127.0.0.1:2525', purpose: 'mta', tls: 'offered' },
      { address: '127.0.0.1:2587', purpose: 'submission', tls: 'required' },
      { address: '127.0.0.1:2465', purpose: 'submission', tls: 'implicit' },
    ],
    queues: { kind: 'seen', value: ['filter', 'sign', 'deliver', 'relay'].map((name) => sampleQueue(name)) },
    flows: new Map(),
    targetsMs: new Map(),
    services: [],
    attention: { kind: 'seen', value: [] },
    ...fields,
  }
}

/** Answers from what it is given. */
export function sampleSource(parts: {
  readonly overview?: Overview
  readonly jobs?: readonly JobView[]
  /** Of destinations. */
  readonly book?: ReadonlyMap<string, DestinationHistory>
  readonly events?: readonly JournalEntry[]
  readonly eventTail?: Source['eventTail']
  readonly message?: MessageView
  readonly preview?: Preview
  readonly content?: SpooledMessage
  readonly reports?: readonly ReceivedReport[]
  readonly traffic?: Seen<Traffic>
  readonly recipients?: Seen<readonly RecipientDomain[]>
  readonly hours?: Seen<readonly HourCounts[]>
  readonly found?: FoundPage
  readonly healthy?: boolean
}): Source {
  const { overview = sampleOverview(), jobs = [], events = [], message, preview, reports = [] } = parts
  const { recipients = { kind: 'seen', value: [] }, hours = { kind: 'seen', value: [] } } = parts
  const { traffic = noTraffic, found = { messages: [] }, healthy = true, book = new Map() } = parts
  return {
    overview: async () => overview,
    shares: async () =>
      overview.queues.kind === 'away'
        ? overview.queues
        : { kind: 'seen', value: { tags: tagsOf(jobs), parked: new Map(), cut: false } },
    events: async () => ({ at: sampleAt, events, number: 0 }),
    eventTail: parts.eventTail ?? { after: async (number) => ({ events: [], number, missed: 0 }) },
    async queue(name, question) {
      const { queues } = overview
      const targetMs = overview.targetsMs.get(name) ?? defaultTargetMs
      if (queues.kind === 'away') return { queue: queues, targetMs, jobs: queues, question, at: sampleAt }
      const value = queues.value.find((one) => one.name === name)
      if (value === undefined) return undefined
      const flow = overview.flows.get(name)
      const told = { targetMs, ...(flow === undefined ? {} : { flow }), question, at: sampleAt }
      return { queue: { kind: 'seen', value }, jobs: { kind: 'seen', value: jobs }, ...told }
    },
    async held({ start, limit }) {
      const held = jobs.filter((job) => job.state === 'held')
      return { at: sampleAt, jobs: { kind: 'seen', value: held.slice(start, start + limit) } }
    },
    async find({ query }) {
      parseQuery(query, sampleAt)
      return { at: sampleAt, found: { kind: 'seen', value: found } }
    },
    message: async (id) => (message?.id === id ? message : undefined),
    preview: async (id) => (message?.id === id ? preview : undefined),
    content: async (id) => (message?.id === id ? parts.content : undefined),
    destinations: async () => ({
      at: sampleAt,
      seen: { kind: 'seen', value: { destinations: withHistory(destinationsOf(jobs), book), cut: false } },
    }),
    async destination(name) {
      const history = book.get(name)
      const view = withHistory(destinationsOf(jobs), book).find((one) => one.name === name)
      const settings = { concurrency: 5, messages: { count: 100, periodMs: 60_000 } }
      return { name, settings, ...(view === undefined ? {} : { view }), ...(history === undefined ? {} : { history }) }
    },
    relayActions: () => ['out', 'backup <b>'],
    reports: sampleReports(reports, { traffic, recipients, hours }),
    rules: async () => [
      {
        kind: 'rule',
        text: 'match from any for local action "scan"',
        at: 'smtpd.conf:7',
        hits: { today: 3, week: 14_000, lastAt: sampleAt - 60_000, since: '2026-11-01' },
      },
      {
        kind: 'rule',
        text: 'match from src "<b>" for any reject',
        at: 'smtpd.conf:9',
        hits: { today: 0, week: 0, since: '2026-11-02' },
      },
      { kind: 'restrict', text: 'restrict connect sleep 1s', at: 'pipeline.conf:3' },
    ],
    explain: async ({ recipient }) => `${recipient} <b>\n  line 7: match\nRCPT: 250`,
    health: async () => healthOf(healthy),
    readiness: async () => healthOf(healthy),
  }
}

const noTraffic: Seen<Traffic> = { kind: 'seen', value: { failures: [], hosts: [], senders: [], users: [] } }

/** As if they were kept. */
function sampleReports(
  kept: readonly ReceivedReport[],
  {
    traffic,
    recipients,
    hours,
  }: {
    readonly traffic: Seen<Traffic>
    readonly recipients: Seen<readonly RecipientDomain[]>
    readonly hours: Seen<readonly HourCounts[]>
  },
): Source['reports'] {
  const reader: ReportsReader = {
    async read<Wanted extends ReportKind>(kind: Wanted, sinceAt: number) {
      const isWanted = (report: ReceivedReport): report is ReportOf<Wanted> => report.kind === kind
      return { reports: kept.filter(isWanted).filter(({ receivedAt }) => receivedAt >= sinceAt), cut: false }
    },
  }
  return {
    dmarc: (question) => viewDmarc(reader, question, sampleAt),
    tls: (question) => viewTls(reader, question, sampleAt),
    abuse: (question) => viewAbuse(reader, question, sampleAt),
    traffic: async () => ({ sinceAt: sampleAt, ...traffic }),
    hours: async () => ({ sinceAt: sampleAt - 23 * hourMs, ...hours }),
    recipients: async () => ({ sinceAt: sampleAt, ...recipients }),
  }
}

function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text)
  if (parsed === undefined) throw new TypeError(text)
  return parsed
}

function healthOf(healthy: boolean): Health {
  const detail = healthy ? '5 queues' : 'no answer of Redis within 1.5 s'
  return { healthy, checks: [{ name: 'redis', healthy, tookMs: 1, detail }] }
}
