import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

import { DelayedError, WaitingError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'

import type { Logger } from '../log.ts'
import { disconnect } from './connection.ts'
import type { StageJob } from './job.ts'
import type { QueueTelemetry } from './telemetry.ts'

export type BullJob = Job<StageJob, void>

export interface BullEngineSettings {
  readonly queue: string
  readonly prefix: string
  /** The engine's own; it closes it. */
  readonly redis: Redis
  readonly concurrency: number
  readonly lockMs: number
  readonly stalledIntervalMs: number
  readonly log: Logger
  /** Absent: tracing is off. */
  readonly telemetry?: QueueTelemetry
  /** Resolves: the job is done. Rejects with what `postpone` or `giveBack` reject with: it is taken care of. */
  process(job: BullJob, token: string, engine: BullEngine): Promise<void>
}

/** One BullMQ worker with its two connections. It is never revived: a watchdog starts another one. */
export class BullEngine {
  readonly startedAt = Date.now()
  readonly #worker: Worker<StageJob, void>
  readonly #redis: Redis
  readonly #log: Logger
  /** Ends when the worker was paused and all results in hand are stored. */
  readonly #loop: Promise<void>

  constructor(settings: BullEngineSettings) {
    this.#redis = settings.redis
    this.#log = settings.log
    this.#worker = new Worker<StageJob, void>(
      settings.queue,
      (job, token) => settings.process(neverFail(job), token ?? '', this),
      {
        connection: settings.redis,
        prefix: settings.prefix,
        name: `${hostname()}:${process.pid}`,
        concurrency: settings.concurrency,
        lockDuration: settings.lockMs,
        stalledInterval: settings.stalledIntervalMs,
        // The default of 1 fails a job at its second stall, which would be a silent loss; we count ourselves.
        maxStalledCount: 1_000_000_000,
        drainDelay: 5,
        runRetryDelay: 1000,
        // A limit that is lifted holds no longer than this.
        maximumRateLimitDelay: 1000,
        // Kept for a while, so that adding the same job again is ignored.
        removeOnComplete: { age: 3600, count: 10_000 },
        autorun: false,
        ...(settings.telemetry === undefined ? {} : { telemetry: settings.telemetry }),
      },
    )
    pauseAfterRefusal(this.#worker)
    this.#worker.on('error', (error) => this.#report(error))
    this.#worker.on('stalled', (jobId) =>
      this.#log.warn({ jobId }, 'a job was started and never finished; it runs again'),
    )
    this.#loop = this.#worker.run().catch((error: unknown) => this.#report(error))
  }

  get connected(): boolean {
    return this.#redis.status === 'ready'
  }

  set concurrency(handlers: number) {
    this.#worker.concurrency = handlers
  }

  async ready(): Promise<void> {
    await this.#worker.waitUntilReady()
  }

  /** Takes no more jobs; keeps the locks of those in hand. */
  async pause(): Promise<void> {
    await this.#worker.pause(true).catch(() => {})
  }

  /** One round trip moves the job and stores its data; starts without an end count from zero again. */
  async postpone(
    job: BullJob,
    token: string,
    data: StageJob,
    delayMs: number,
    reason: string,
    priority: number,
  ): Promise<void> {
    const now = Date.now()
    const wait = Math.max(0, Math.ceil(delayMs))
    const fields = {
      data: JSON.stringify(data),
      due: now + wait,
      reason: reason.slice(0, 500),
      stc: 0,
      solo: 0,
      priority,
    }
    const options = { skipAttempt: true, fieldsToUpdate: fields }
    await this.#worker.getBackend().moveToDelayed(jobIdOf(job), now, wait, token, options)
  }

  /** The job's data from now on. */
  async store(job: BullJob, data: StageJob): Promise<void> {
    await this.#worker.getBackend().updateData(job, data)
  }

  /** Back to the head of the queue: another worker takes it at once. */
  async giveBack(job: BullJob, token: string): Promise<void> {
    const jobId = jobIdOf(job)
    try {
      await this.#worker.getBackend().moveJobFromActiveToWait(jobId, token)
    } catch (error) {
      this.#log.debug({ jobId, error: String(error) }, 'a job could not be given back; it runs again after its lock')
    }
  }

  /** After `pause`: lets it store the last results, then ends its connections and timers, whatever state they are in. */
  async stop(resultsLimitMs: number): Promise<void> {
    if (this.connected) {
      // Wakes the loop from its wait for the next job.
      const woken = this.#worker.getBackend().disconnectBlocking(false)
      await within(resultsLimitMs, Promise.all([woken, this.#loop]))
    }
    await within(1000, this.#worker.close(true))
    await disconnect(this.#redis)
  }

  /** Connection trouble has its own line; a result that came after the lock was lost is not stored, and the job runs again. */
  #report(error: unknown): void {
    const text = String(error)
    if (/lock|^(?:ReplyError: )?[A-Z]{3,} /.test(text)) this.#log.warn({ error: text }, 'a queue operation failed')
    else this.#log.debug({ error: text }, 'a queue operation failed')
  }
}

export function jobIdOf(job: BullJob): string {
  if (job.id === undefined) throw new TypeError('a job without an id')
  return job.id
}

/** What a processor throws to tell BullMQ that the job was moved already. */
export function postponed(): Error {
  return new DelayedError()
}

export function givenBack(): Error {
  return new WaitingError()
}

/** BullMQ fails a job after its last attempt; a result that could not be stored must only mean "again". Not stored. */
function neverFail(job: BullJob): BullJob {
  job.opts.attempts = Number.MAX_SAFE_INTEGER
  job.opts.backoff = { type: 'fixed', delay: 5000 }
  job.opts.stackTraceLimit = 0
  return job
}

/** A Redis that refuses to write (disk full, memory full) would be asked again thousands of times a second. */
function pauseAfterRefusal(worker: Worker<StageJob, void>): void {
  const backend = worker.getBackend()
  const take = backend.moveToActive.bind(backend)
  backend.moveToActive = async (token, name) => {
    try {
      return await take(token, name)
    } catch (error) {
      await sleep(1000)
      throw error
    }
  }
}

async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  const limit = sleep(limitMs, undefined, { signal: timer.signal })
  await Promise.race([work, limit]).catch(() => {})
  timer.abort()
  await limit.catch(() => {})
}
