import type { Lane, Quarantine } from '../mail/disposition.ts'
import type { Span } from '../tracing/span.ts'
import type { StageJob } from './job.ts'

export type { Lane } from '../mail/disposition.ts'

/** What a handler is told about the run it is in. */
export interface JobControl {
  readonly jobId: string
  /**
   * How often this job was started, this time included; above 1 it ran before (a retry, a crash, lost Redis) and the outcome
   * log decides what is left to do.
   */
  readonly starts: number
  /** The start before ended without a result (a crash, lost Redis, a stop in the middle): nobody knows how far it came. */
  readonly brokenOff: boolean
  /** Its sender sent much lately: it ran behind what others sent. */
  readonly behind: boolean
  /** Since it was added; absent: it was to wait, or has run before. */
  readonly waitedMs?: number
  /** Aborted when the worker closes and its time is over. */
  readonly signal: AbortSignal
  /** Of this run; absent: it is not traced. */
  readonly span?: Span
}

/** What becomes of the job. */
export type JobResult =
  | { readonly kind: 'done' }
  /** Runs again after `delayMs` with this data; with `lane`, as soon as a slot of the destination is free. */
  | {
      readonly kind: 'later'
      readonly data: StageJob
      readonly delayMs: number
      readonly reason: string
      readonly lane?: Lane
    }
  /** Goes to the queue `held` and waits for an operator. */
  | { readonly kind: 'park'; readonly data: StageJob; readonly reason: string; readonly quarantine?: Quarantine }

/** May run twice for one job. What it throws is trouble of our own: the job runs again after a pause, with the same data. */
export type JobHandler = (job: StageJob, control: JobControl) => Promise<JobResult>

export interface WorkOptions {
  /** Handlers at a time. */
  readonly concurrency: number
  readonly handler: JobHandler
  /**
   * Notes, outside of the queues, that a job was started too often; then it goes to the queue `held`, also when this rejects: it must not
   * start again. May run twice for one job.
   */
  readonly onPoison?: (job: StageJob, reason: string) => Promise<void>
  /** A killed worker's job is taken by another after at most `lockMs` + 2 x `stalledIntervalMs`: BullMQ looks twice. 8 s and 2.5 s. */
  readonly lockMs?: number
  readonly stalledIntervalMs?: number
  /** A worker that takes nothing for this long while its queue is not empty gets new connections. 30 s. */
  readonly watchdogMs?: number
}

export interface StageWorker {
  readonly queue: string
  /** Handlers at a time from now on. */
  setConcurrency(handlers: number): void
  /** Handlers at work. */
  readonly running: number
  /** Epoch ms of the last job taken; undefined before the first. */
  readonly lastTakenAt: number | undefined
  /** How often the watchdog had to restart it. */
  readonly restarts: number
  /** Resolves when it is connected and takes jobs. */
  ready(): Promise<void>
  /** Stops taking jobs, waits `limitMs` (10 s) for those in hand, then gives them back: another worker takes them at once. */
  close(limitMs?: number): Promise<void>
}
