import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

import { DelayedError, WaitingError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'

import type { Logger } from '../log.ts'
import { becomesReady, disconnect } from './connection.ts'
import type { NewJob, StageJob } from './job.ts'
import { OneByOne } from './one-by-one.ts'

/** What a handler is told about the run it is in. */
export interface JobControl {
  readonly jobId: string
  /**
   * How often this job was started, this time included; above 1 it ran before (a retry, a crash, lost Redis) and the outcome
   * log decides what is left to do.
   */
  readonly starts: number
  /** Aborted when the worker closes and its time is over. */
  readonly signal: AbortSignal
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
      readonly lane?: { readonly destination: string; readonly limit: number }
    }
  /** Goes to the queue `held` and waits for an operator. */
  | { readonly kind: 'park'; readonly data: StageJob; readonly reason: string }

/** May run twice for one job. What it throws is trouble of our own: the job runs again after a pause, with the same data. */
export type JobHandler = (job: StageJob, control: JobControl) => Promise<JobResult>

export interface WorkOptions {
  /** Handlers at a time. */
  readonly concurrency: number
  readonly handler: JobHandler
  /** A killed worker's job is taken by another after at most `lockMs` + `stalledIntervalMs`. 10 s and 5 s. */
  readonly lockMs?: number
  readonly stalledIntervalMs?: number
  /** A worker that takes nothing for this long while its queue is not empty gets new connections. 30 s. */
  readonly watchdogMs?: number
}

export interface StageWorker {
  readonly queue: string
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

/** What a worker needs from the queues around it. */
export interface WorkerSurroundings {
  readonly prefix: string
  readonly log: Logger
  /** A new connection for the worker, which closes it. */
  connect(): Redis
  /** @throws QueueUnavailableError */
  add(jobs: readonly NewJob[]): Promise<void>
  park(queue: string, jobId: string, data: StageJob, lane: { destination: string; limit: number }): Promise<void>
  /** How many times a job that crashed a worker was started alone, this time included. */
  countSuspectStart(queue: string, jobId: string): Promise<number>
  /** Jobs that should have been taken by now; 0 when the queue is paused. */
  overdue(queue: string, sinceMs: number): Promise<number>
}

export const heldQueue = 'held'

/** A job that is started more often than this without coming to an end is poison. */
const mostStarts = 5
/** A suspect that runs longer than this did not crash the process at once: the next one may start. */
const suspectAloneMs = 5000
const longestBackoffMs = 300_000

/** A handler that the closing worker interrupted has no result: another worker takes the job at once. */
type Conclusion = JobResult | { readonly kind: 'give back' }

type BullWorker = Worker<StageJob, void>
type BullJob = Job<StageJob, void>

interface Engine {
  readonly worker: BullWorker
  readonly redis: Redis
  /** Ends when the worker was paused and all results in hand are stored. */
  readonly loop: Promise<void>
  readonly startedAt: number
}

interface Running {
  readonly job: BullJob
  readonly token: string
  readonly engine: Engine
  readonly controller: AbortController
  abandoned: boolean
}

export class BullStageWorker implements StageWorker {
  readonly queue: string
  readonly #options: WorkOptions
  readonly #around: WorkerSurroundings
  readonly #log: Logger
  readonly #running = new Set<Running>()
  readonly #suspects = new OneByOne(suspectAloneMs)
  readonly #watchdog: NodeJS.Timeout
  readonly #retiring = new Set<Promise<void>>()
  #engine: Engine
  #lastTakenAt: number | undefined
  #restarts = 0
  #suspicious = false
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(queue: string, options: WorkOptions, around: WorkerSurroundings) {
    this.queue = queue
    this.#options = options
    this.#around = around
    this.#log = around.log.child({ queue })
    this.#engine = this.#startEngine(options.concurrency)
    this.#watchdog = setInterval(() => void this.#watch(), (options.watchdogMs ?? 30_000) / 2)
    this.#watchdog.unref()
  }

  get running(): number {
    return this.#running.size
  }

  get lastTakenAt(): number | undefined {
    return this.#lastTakenAt
  }

  get restarts(): number {
    return this.#restarts
  }

  async ready(): Promise<void> {
    await this.#engine.worker.waitUntilReady()
  }

  close(limitMs = 10_000): Promise<void> {
    return (this.#closing ??= this.#close(limitMs))
  }

  #startEngine(concurrency: number): Engine {
    const { lockMs = 10_000, stalledIntervalMs = 5000 } = this.#options
    const redis = this.#around.connect()
    const worker: BullWorker = new Worker<StageJob, void>(
      this.queue,
      (job, token) => this.#process(engine, job, token ?? ''),
      {
        connection: redis,
        prefix: this.#around.prefix,
        name: `${hostname()}:${process.pid}`,
        concurrency,
        lockDuration: lockMs,
        stalledInterval: stalledIntervalMs,
        // The default of 1 fails a job at its second stall, which would be a silent loss; we count ourselves.
        maxStalledCount: 1_000_000_000,
        drainDelay: 5,
        runRetryDelay: 1000,
        // Kept for a while, so that adding the same job again is ignored.
        removeOnComplete: { age: 3600, count: 10_000 },
        autorun: false,
      },
    )
    pauseAfterRefusal(worker)
    worker.on('error', (error) => this.#report(error))
    worker.on('stalled', (jobId) => this.#log.warn({ jobId }, 'a job was started and never finished; it runs again'))
    const loop = worker.run().catch((error: unknown) => this.#report(error))
    const engine: Engine = { worker, redis, loop, startedAt: Date.now() }
    return engine
  }

  /** Connection trouble has its own line; a result that came after the lock was lost is not stored, and the job runs again. */
  #report(error: unknown): void {
    const text = String(error)
    if (/lock|^(?:ReplyError: )?[A-Z]{3,} /.test(text)) this.#log.warn({ error: text }, 'a queue operation failed')
    else this.#log.debug({ error: text }, 'a queue operation failed')
  }

  async #process(engine: Engine, job: BullJob, token: string): Promise<void> {
    this.#lastTakenAt = Date.now()
    neverFail(job)
    const running: Running = { job, token, engine, controller: new AbortController(), abandoned: false }
    if (this.#closing !== undefined) return this.#giveBack(running)
    this.#running.add(running)
    try {
      const result = await this.#decide(running)
      await this.#conclude(running, result)
    } finally {
      this.#running.delete(running)
      if (this.#running.size === 0) this.#whenIdle?.()
    }
  }

  async #decide(running: Running): Promise<Conclusion> {
    const { job } = running
    if (job.stalledCounter === 0) return this.#handle(running)
    return this.#suspects.run(async () => {
      const starts = await this.#around.countSuspectStart(this.queue, jobIdOf(job))
      if (starts <= mostStarts) return this.#handle(running)
      return { kind: 'park', data: job.data, reason: `poison: started ${starts - 1} times and never finished` }
    })
  }

  async #handle({ job, controller }: Running): Promise<Conclusion> {
    const jobId = jobIdOf(job)
    const starts = job.attemptsStarted
    try {
      return await this.#options.handler(job.data, { jobId, starts, signal: controller.signal })
    } catch (error) {
      if (controller.signal.aborted) return { kind: 'give back' }
      const delayMs = Math.min(5000 * 2 ** Math.min(starts - 1, 10), longestBackoffMs)
      const reason = error instanceof Error ? error.message : String(error)
      this.#log.error({ id: job.data.id, jobId, starts, delayMs, err: error }, 'a stage failed; the job runs again')
      return { kind: 'later', data: job.data, delayMs, reason }
    }
  }

  async #conclude(running: Running, result: Conclusion): Promise<void> {
    if (running.abandoned) throw new WaitingError()
    switch (result.kind) {
      case 'done':
        return
      case 'later':
        return this.#later(running, result)
      case 'give back':
        return this.#giveBack(running)
      case 'park':
        return this.#park(running, result)
    }
  }

  /** One round trip moves the job and stores its data; the error tells BullMQ that the job is taken care of. */
  async #later(running: Running, { data, delayMs, reason, lane }: JobResult & { kind: 'later' }): Promise<void> {
    const { job, token, engine } = running
    const jobId = jobIdOf(job)
    const now = Date.now()
    const wait = Math.max(0, Math.ceil(delayMs))
    try {
      await engine.worker.getBackend().moveToDelayed(jobId, now, wait, token, {
        skipAttempt: true,
        fieldsToUpdate: { data: JSON.stringify(data), due: now + wait, reason: reason.slice(0, 500), stc: 0, solo: 0 },
      })
      if (lane !== undefined) await this.#around.park(this.queue, jobId, data, lane)
    } catch (error) {
      this.#log.warn({ id: data.id, jobId, error: String(error) }, 'a retry could not be stored; the job runs again')
    }
    throw new DelayedError()
  }

  /** The held copy first, then the job itself goes without a trace, so that a release can add it again under its id. */
  async #park(running: Running, { data, reason }: JobResult & { kind: 'park' }): Promise<void> {
    const { job } = running
    const jobId = jobIdOf(job)
    const crashes = job.stalledCounter
    const worker = job.processedBy
    const held = {
      queue: this.queue,
      reason,
      at: Date.now(),
      starts: job.attemptsStarted,
      crashes,
      ...(worker === undefined ? {} : { worker }),
    }
    try {
      await this.#around.add([{ queue: heldQueue, jobId, data: { ...data, held } }])
    } catch (error) {
      const reply = error instanceof Error ? error.message : String(error)
      return this.#later(running, { kind: 'later', data, delayMs: 5000, reason: `could not be held: ${reply}` })
    }
    job.opts.removeOnComplete = true
    if (crashes >= mostStarts) this.#log.error({ id: data.id, jobId, held }, 'poison: the job is held')
  }

  async #giveBack({ job, token, engine }: Running): Promise<void> {
    const jobId = jobIdOf(job)
    try {
      await engine.worker.getBackend().moveJobFromActiveToWait(jobId, token)
    } catch (error) {
      this.#log.debug(
        { jobId, error: String(error) },
        'a job could not be given back; another worker takes it after its lock',
      )
    }
    throw new WaitingError()
  }

  async #watch(): Promise<void> {
    const { watchdogMs = 30_000, concurrency } = this.#options
    const { startedAt, redis } = this.#engine
    const idleMs = Date.now() - Math.max(this.#lastTakenAt ?? 0, startedAt)
    if (this.#closing !== undefined || idleMs < watchdogMs || this.#running.size >= concurrency) {
      this.#suspicious = false
      return
    }
    const overdue = await this.#around.overdue(this.queue, watchdogMs).catch(() => 0)
    if (overdue === 0) {
      this.#suspicious = false
      return
    }
    // Once may be chance: a job that another worker takes this moment.
    if (!this.#suspicious) {
      this.#suspicious = true
      return
    }
    this.#suspicious = false
    this.#log.warn(
      { overdue, idleMs, connection: redis.status },
      'the queue is not empty but no job was taken; restarting',
    )
    this.#restart()
  }

  /** New connections and a new loop; the old one keeps the locks of the jobs in hand until they are done. */
  #restart(): void {
    if (this.#closing !== undefined) return
    this.#restarts++
    const old = this.#engine
    const inHand = this.#running.size
    this.#engine = this.#startEngine(Math.max(1, this.#options.concurrency - inHand))
    const retired = this.#retire(old).then(() => {
      this.#engine.worker.concurrency = this.#options.concurrency
      this.#retiring.delete(retired)
    })
    this.#retiring.add(retired)
  }

  async #retire(engine: Engine): Promise<void> {
    await engine.worker.pause(true).catch(() => {})
    while ([...this.#running].some((running) => running.engine === engine)) await sleep(50)
    await stopEngine(engine, 2000)
  }

  async #close(limitMs: number): Promise<void> {
    clearInterval(this.#watchdog)
    await this.#engine.worker.pause(true).catch(() => {})
    await this.#idleWithin(limitMs)
    for (const running of this.#running) running.controller.abort()
    await this.#idleWithin(250)
    const abandoned = [...this.#running]
    await Promise.all(abandoned.map((running) => this.#abandon(running)))
    await Promise.all([stopEngine(this.#engine, abandoned.length === 0 ? 2000 : 100), ...this.#retiring])
  }

  async #abandon(running: Running): Promise<void> {
    running.abandoned = true
    this.#running.delete(running)
    if (await becomesReady(running.engine.redis, 0)) await this.#giveBack(running).catch(() => {})
  }

  async #idleWithin(limitMs: number): Promise<void> {
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      this.#whenIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#whenIdle = undefined
  }
}

/** A Redis that refuses to write (disk full, memory full) would be asked again thousands of times a second. */
function pauseAfterRefusal(worker: BullWorker): void {
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

/** BullMQ fails a job after its last attempt; a result that could not be stored must only mean "again". Not stored. */
function neverFail(job: BullJob): void {
  job.opts.attempts = Number.MAX_SAFE_INTEGER
  job.opts.backoff = { type: 'fixed', delay: 5000 }
}

function jobIdOf(job: BullJob): string {
  if (job.id === undefined) throw new TypeError('a job without an id')
  return job.id
}

/** The worker is paused. Lets it store the last results, then ends its connections and timers, whatever state they are in. */
async function stopEngine({ worker, redis, loop }: Engine, resultsLimitMs: number): Promise<void> {
  if (redis.status === 'ready') {
    // Wakes the loop from its wait for the next job.
    const woken = worker.getBackend().disconnectBlocking(false)
    await within(resultsLimitMs, Promise.all([woken, loop]))
  }
  await within(1000, worker.close(true))
  await disconnect(redis)
}

async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  const limit = sleep(limitMs, undefined, { signal: timer.signal })
  await Promise.race([work, limit]).catch(() => {})
  timer.abort()
  await limit.catch(() => {})
}
