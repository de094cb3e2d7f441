import type { EventFilter, EventTail } from '../../shared/event-tail.ts'
import type { Versions } from '../../shared/heartbeat.ts'
import type { LaneSettings } from '../../shared/config/model.ts'
import type { JournalEntry } from '../../shared/journal.ts'
import type { DestinationHistory } from '../../shared/destinations/known.ts'
import type { Destinations, DestinationView } from '../../shared/report/destinations.ts'
import type { CountedStatement } from '../../shared/rule-hits/view.ts'
import type { HourCounts } from '../../shared/store/hours.ts'
import type { RecipientDomain, Traffic } from '../../shared/store/traffic.ts'
import type { QueueFlow } from '../../shared/report/flow.ts'
import type { QueueShares } from '../../shared/report/queue-shares.ts'
import type { JobState, JobView, MessageView, QueueView, Seen } from '../../shared/report/views.ts'
import type { AbuseView, DmarcView, ReportQuestion, TlsView } from '../../shared/received-reports/views.ts'
import type { ExplainQuestion } from './explain-question.ts'
import type { Preview } from './preview.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import type { FoundPage } from '../../shared/store/found-message.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'

/** What the pages show, read anew for each request. Every answer comes within the time limit, also when Redis is away. */
export interface Source {
  overview(): Promise<Overview>
  /** Whose messages wait, as it was at most ten seconds ago. */
  shares(): Promise<Seen<QueueShares>>
  /** The newest events of all messages and sessions, the newest first. */
  events(
    limit: number,
    filter: EventFilter,
  ): Promise<{ readonly at: number; readonly events: readonly JournalEntry[]; readonly number: number }>
  /** Those that come behind a number. */
  readonly eventTail: Pick<EventTail, 'after'>
  /** `undefined`: there is no queue of that name. */
  queue(name: string, question: JobQuestion): Promise<QueueDetail | undefined>
  /** Held messages of all queues, a page of them. */
  held(page: {
    readonly start: number
    readonly limit: number
  }): Promise<{ readonly at: number; readonly jobs: Seen<readonly JobView[]> }>
  /** @throws QueryError when the query cannot be understood, or it takes too long */
  find(question: FindQuestion): Promise<{ readonly at: number; readonly found: Seen<FoundPage> }>
  /** `undefined`: nothing is known under that id. */
  message(id: MessageId): Promise<MessageView | undefined>
  /** The beginning of a message, as text; `undefined`: it is not, or no longer, in the spool. */
  preview(id: MessageId): Promise<Preview | undefined>
  /** As it was received; `undefined`: it is not, or no longer, in the spool. */
  content(id: MessageId): Promise<SpooledMessage | undefined>
  destinations(): Promise<{ readonly at: number; readonly seen: Seen<Destinations> }>
  destination(name: string): Promise<DestinationDetail>
  /** What others report of mail in the name of our domains, of TLS with our hosts, and what they complain of. */
  readonly reports: {
    dmarc(question: ReportQuestion): Promise<DmarcView>
    tls(question: ReportQuestion): Promise<TlsView>
    abuse(question: ReportQuestion): Promise<AbuseView>
    /** Bounces and senders of the last so many days, by the message store. */
    traffic(days: number): Promise<Seen<Traffic> & { readonly sinceAt: number }>
    /** What came in each of the last 24 hours and became of it, as it was at most a minute ago. */
    hours(): Promise<Seen<readonly HourCounts[]> & { readonly sinceAt: number }>
    /** Where mail went in the last so many days. */
    recipients(days: number): Promise<Seen<readonly RecipientDomain[]> & { readonly sinceAt: number }>
  }
  /** Those in force, in order, with how often they decided. */
  rules(): Promise<readonly CountedStatement[]>
  /** Names of the actions that relay to another host. */
  relayActions(): readonly string[]
  /** Why a recipient goes where it goes, line by line. @throws TableError when a table cannot be asked */
  explain(question: ExplainQuestion): Promise<string>
  /** Of all services. */
  health(): Promise<Health>
  /** Of what the dashboard's process itself needs. */
  readiness(): Promise<Health>
}

export interface DestinationDetail {
  readonly name: string
  /** Absent: no mail is for it, and none went there in 24 hours; or Redis is away. */
  readonly view?: DestinationView
  /** How it took mail in the last 24 hours; absent: no attempt was made. */
  readonly history?: DestinationHistory
  /** How it is given mail. */
  readonly settings: LaneSettings
}

/** Messages by the search language, a page of them. */
export interface FindQuestion {
  readonly query: string
  /** `next` of the page before. */
  readonly before?: string
  readonly limit: number
}

export interface Overview {
  readonly at: number
  readonly hostname: string
  readonly revision: string
  /** Where mail comes in, as configured. */
  readonly listeners: readonly ListenerView[]
  readonly queues: Seen<readonly QueueView[]>
  /** How mail moves through them, by name; queues of which nothing was heard are left out. */
  readonly flows: ReadonlyMap<string, QueueFlow>
  /** How long the oldest message of a queue may wait, by name. */
  readonly targetsMs: ReadonlyMap<string, number>
  readonly services: readonly ServiceView[]
  /** What is held by trouble or by hand, and those that wait longest for their next attempt. */
  readonly attention: Seen<readonly JobView[]>
}

export interface ListenerView {
  readonly address: string
  /** `mta`: mail from anybody; `submission`: users sign in. */
  readonly purpose: 'mta' | 'submission'
  readonly tls: 'none' | 'offered' | 'required' | 'implicit'
}

/** A service in a process, by its last heartbeat. */
export interface ServiceView {
  readonly name: string
  readonly host: string
  readonly pid: number
  readonly startedAt: number
  readonly beatAt: number
  /** It said nothing for some time: dead, or its machine is. */
  readonly silent: boolean
  readonly listens: readonly string[]
  /** Clients that are connected, by what it listens on. */
  readonly connections?: Readonly<Record<string, number>>
  readonly versions?: Versions
  readonly troubles: readonly string[]
  /** What an operator should know and is no trouble. */
  readonly notes?: readonly string[]
  /** Revision in force, and why the files are not. */
  readonly configuration?: { readonly revision: string; readonly fault?: string; readonly warnings?: readonly string[] }
  readonly lastJobAt?: number
}

/** Which jobs of a queue: a state or all, a page of them. */
export interface JobQuestion {
  readonly state?: JobState
  readonly start: number
  readonly limit: number
}

export interface QueueDetail {
  readonly queue: Seen<QueueView>
  /** How mail moves through it; absent: nothing was heard of it. */
  readonly flow?: QueueFlow
  /** How long its oldest message may wait. */
  readonly targetMs: number
  readonly jobs: Seen<readonly JobView[]>
  readonly question: JobQuestion
  readonly at: number
}

export interface Health {
  readonly healthy: boolean
  readonly checks: readonly HealthCheck[]
}

export interface HealthCheck {
  readonly name: string
  readonly healthy: boolean
  /** Milliseconds the question took. */
  readonly tookMs: number
  /** What is wrong, or what was found. */
  readonly detail: string
  /** Services: since their last job; absent before the first. */
  readonly lastJobAgeMs?: number
}
