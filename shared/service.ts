import type { Clock } from './clock.ts'
import type { LiveConfiguration } from './config/live-configuration.ts'
import type { Configuration } from './config/model.ts'
import type { TableSet } from './config/tables.ts'
import type { Events } from './events.ts'
import type { FilterTally } from './filter-tally/tally.ts'
import type { WorkFigures } from './heartbeat.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Pipeline } from './pipeline/pipeline.ts'
import type { Queues } from './queue/queues.ts'
import type { Resolver } from './resolver.ts'
import type { RuleHits } from './rule-hits/rule-hits.ts'
import type { OpenedSpool } from './spool/volume.ts'
import type { Tracing } from './tracing/span.ts'

/** What every service is given. One process builds it once for all services it runs. */
export interface ServiceContext {
  /** The one in force: read it at the moment of use, and keep one snapshot for one message or one session. */
  readonly configuration: Configuration
  /** For what is opened by the configuration and goes along with its changes. */
  readonly live: Pick<LiveConfiguration, 'follow' | 'texts' | 'origin'>
  readonly tables: TableSet
  readonly spool: OpenedSpool
  readonly queues: Queues
  readonly pipeline: Pipeline
  readonly resolver: Resolver
  readonly events: Events
  /** Absent: nobody counts. */
  readonly ruleHits?: RuleHits
  /** Absent: nobody counts. */
  readonly filterTally?: FilterTally
  /** Absent: tracing is off. */
  readonly tracing?: Tracing
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: Clock
  /** `./var`: spool, keys, certificates, Redis. */
  readonly dataFolder: string
}

/** A part of Sluice that can share a process with the others or run alone. Keeps no state at module level. */
export interface Service {
  readonly name: string
  start(context: ServiceContext): Promise<RunningService>
}

export interface RunningService {
  /** What it listens on, for the start message: `smtp://127.0.0.1:2525 (STARTTLS)`. */
  readonly listens?: readonly string[]
  /** Trouble now, one sentence each; empty when it does its work. */
  health?(): Promise<readonly string[]>
  /** What keeps it from its work now, beside what no service can do without, one sentence each. */
  lacks?(): readonly string[]
  /** What an operator should know and is no trouble, one sentence each. */
  notes?(): readonly string[]
  /** Clients that are connected, by what it listens on. */
  connections?(): Readonly<Record<string, number>>
  /** When it last took a job, epoch ms. */
  lastJobAt?(): number | undefined
  /** What it does at its queue. */
  work?(): WorkFigures | undefined
  /** Stops taking work, finishes what is in hand, frees everything. */
  close(): Promise<void>
}
