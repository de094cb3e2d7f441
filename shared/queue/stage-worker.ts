import { setTimeout as sleep } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import type { Logger } from '../log.ts'
import type { Span, Tracing } from '../tracing/span.ts'
import { BullEngine, givenBack, jobIdOf, postponed } from './bull-engine.ts'
import type { BullJob } from './bull-engine.ts'
import { heldQueue, isReadableJob } from './job.ts'
import type { HeldEvidence, NewJob, StageJob } from './job.ts'
import { OneByOne } from './one-by-one.ts'
import { QueueTelemetry, queueAttributes } from './telemetry.ts'
import type { JobResult, Lane, StageWorker, WorkOptions } from './work.ts'

/** What a worker needs from the queues around it. */
export interface WorkerSurroundings {
  readonly prefix: string
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  /** A new connection for the worker, which closes it. */
  connect(): Redis
  /** @throws QueueUnavailableError */
  add(jobs: readonly NewJob[]): Promise<void>
  park(queue: string, jobId: string, data: StageJob, lane: Lane, priority: number): Promise<void>
  /** See SenderShares. */
  priorityOf(queue: string, data: StageJob): number
  bringOldest(queue: string, count: number): Promise<void>
  /** How many times a job was started without coming to an end, this time included. */
  countSuspectStart(queue: string, jobId: string): Promise<number>
  /** Jobs that should have been taken by now; 0 when the queue is paused. */
  overdue(queue: string, sinceMs: number): Promise<number>
}

/** A job that is started more often than this without coming to an end is poison. */
const mostStarts = 5
/** A suspect that runs longer than this did not crash the process at once: the next one may start. */
const suspectAloneMs = 5000
const longestBackoffMs = 300_000
/** Until a job of a newer version is offered again: a worker of that may have come. */
const newerAgainMs = 10_000
const oldestFirstMs = 1_000
const mostOldest = 200
/** Between the abort of a handler and the moment its job is given back. */
const abortGraceMs = 250

/** A handler that the closing worker interrupted has no result: another worker takes the job at once. */
type Conclusion = JobResult | { readonly kind: 'give back' }

interface Running {
  readonly job: BullJob
  readonly token: string
  readonly engine: BullEngine
  readonly controller: AbortController
  abandoned: boolean
}

export class BullStageWorker implements StageWorker {
  readonly queue: string
  #concurrency: number
  readonly #options: WorkOptions
  readonly #around: WorkerSurroundings
  readonly #log: Logger
  readonly #telemetry: QueueTelemetry | undefined
  readonly #running = new Set<Running>()
  readonly #suspects = new OneByOne(suspectAloneMs)
  readonly #watchdog: NodeJS.Timeout
  readonly #watchdogMs: number
  readonly #oldestFirst: NodeJS.Timeout
  #taken = 0
  readonly #retiring = new Set<Promise<void>>()
  #engine: BullEngine
  #lastTakenAt: number | undefined
  #restarts = 0
  #suspicious = false
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(queue: string, options: WorkOptions, around: WorkerSurroundings) {
    this.queue = queue
    this.#options = options
    this.#concurrency = options.concurrency
    this.#around = around
    this.#log = around.log.child({ queue })
    this.#telemetry = around.tracing === undefined ? undefined : new QueueTelemetry(around.tracing, queue)
    this.#engine = this.#startEngine(this.#concurrency)
    this.#watchdogMs = options.watchdogMs ?? 30_000
    this.#watchdog = setInterval(() => void this.#watch(), this.#watchdogMs / 2)
    this.#watchdog.unref()
    this.#oldestFirst = setInterval(() => void this.#bringOldest(), oldestFirstMs)
    this.#oldestFirst.unref()
  }

  /** More take effect when the next job ends or the queue was empty, fewer as jobs end. */
  setConcurrency(handlers: number): void {
    this.#concurrency = handlers
    this.#engine.concurrency = handlers
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

  ready(): Promise<void> {
    return this.#engine.ready()
  }

  close(limitMs = 10_000): Promise<void> {
    return (this.#closing ??= this.#close(limitMs))
  }

  #startEngine(concurrency: number): BullEngine {
    const { lockMs = 8000, stalledIntervalMs = 2500 } = this.#options
    return new BullEngine({
      queue: this.queue,
      prefix: this.#around.prefix,
      redis: this.#around.connect(),
      concurrency,
      lockMs,
      stalledIntervalMs,
      log: this.#log,
      ...(this.#telemetry === undefined ? {} : { telemetry: this.#telemetry }),
      process: (job, token, engine) => this.#process(job, token, engine),
    })
  }

  async #process(job: BullJob, token: string, engine: BullEngine): Promise<void> {
    this.#lastTakenAt = Date.now()
    this.#taken++
    const running: Running = { job, token, engine, controller: new AbortController(), abandoned: false }
    if (this.#closing !== undefined) return this.#giveBack(running)
    this.#running.add(running)
    try {
      await this.#conclude(running, await this.#decide(running))
    } finally {
      this.#running.delete(running)
      if (this.#running.size === 0) this.#whenIdle?.()
    }
  }

  async #decide(running: Running): Promise<Conclusion> {
    const { job } = running
    if (!isReadableJob(job.data)) return this.#leaveToNewer(job)
    // A question is not looked at twice: its handler reads from `starts` that its worker died of it, or of something else.
    if (job.stalledCounter === 0 || job.data.question !== undefined) return this.#handle(running)
    return this.#suspects.run(async () => {
      const starts = await this.#around.countSuspectStart(this.queue, jobIdOf(job))
      if (starts <= mostStarts) return this.#handle(running)
      return this.#holdPoison(job, `poison: started ${starts - 1} times and never finished`)
    })
  }

  /** After a step back to an older version: nothing is tried, nothing is lost. */
  #leaveToNewer(job: BullJob): Conclusion {
    const { data } = job
    const reason = `a job of schema ${data.v}, which this version cannot read: start the newer version again`
    this.#log.error({ id: data.id, jobId: jobIdOf(job) }, reason)
    return { kind: 'later', data, delayMs: newerAgainMs, reason }
  }

  async #holdPoison(job: BullJob, reason: string): Promise<Conclusion> {
    const { data } = job
    try {
      await this.#options.onPoison?.(data, reason)
    } catch (error) {
      this.#log.error({ id: data.id, jobId: jobIdOf(job), err: error }, 'only the queue knows that this job is held')
    }
    return { kind: 'park', data, reason }
  }

  async #handle({ job, controller }: Running): Promise<Conclusion> {
    const jobId = jobIdOf(job)
    const starts = job.attemptsStarted
    const span = this.#telemetry?.spanOf(jobId)
    if (span !== undefined) this.#traceStart(job, span)
    const brokenOff = job.stalledCounter > 0 || job.data.brokenOff === true
    try {
      return cameToAnEnd(
        await this.#options.handler(job.data, {
          jobId,
          starts,
          brokenOff,
          behind: priorityNow(job) > 0,
          ...(isFresh(job) ? { waitedMs: Math.max(0, Date.now() - job.timestamp) } : {}),
          signal: controller.signal,
          ...(span === undefined ? {} : { span }),
        }),
      )
    } catch (error) {
      if (controller.signal.aborted) return { kind: 'give back' }
      const delayMs = Math.min(5000 * 2 ** Math.min(starts - 1, 10), longestBackoffMs)
      this.#log.error({ id: job.data.id, jobId, starts, delayMs, err: error }, 'a stage failed; the job runs again')
      return { kind: 'later', data: { ...job.data, brokenOff: true }, delayMs, reason: messageOf(error) }
    }
  }

  #traceStart(job: BullJob, span: Span): void {
    const { data, timestamp, attemptsStarted } = job
    span.set({ 'sluice.message.id': data.id, 'sluice.attempt': data.attempts + 1, 'sluice.starts': attemptsStarted })
    if (!isFresh(job)) return
    const attributes = { ...queueAttributes(this.queue), 'sluice.message.id': data.id }
    this.#around.tracing?.join(data.trace, `wait ${this.queue}`, { attributes, startedAt: timestamp })?.end()
  }

  async #conclude(running: Running, result: Conclusion): Promise<void> {
    if (running.abandoned) throw givenBack()
    switch (result.kind) {
      case 'done':
        if (running.job.data.question !== undefined) running.job.opts.removeOnComplete = true
        return
      case 'later':
        return this.#later(running, result)
      case 'give back':
        return this.#giveBackBrokenOff(running)
      case 'park':
        return this.#park(running, result)
    }
  }

  async #later(running: Running, { data, delayMs, reason, lane }: JobResult & { kind: 'later' }): Promise<void> {
    const { job, token, engine } = running
    const jobId = jobIdOf(job)
    try {
      // What was tried is work like a new message; what was not tried keeps its place.
      const priority = data.attempts > job.data.attempts ? this.#around.priorityOf(this.queue, data) : priorityNow(job)
      await engine.postpone(job, token, data, delayMs, reason, priority)
      // Only now: a slot that was freed meanwhile finds the job where it can be promoted from.
      if (lane !== undefined) await this.#around.park(this.queue, jobId, data, lane, priority)
    } catch (error) {
      this.#log.warn({ id: data.id, jobId, error: String(error) }, 'a retry could not be stored; the job runs again')
    }
    throw postponed()
  }

  /** The held copy first, then the job itself goes without a trace, so that a release can add it again under its id. */
  async #park(running: Running, { data, reason, quarantine }: JobResult & { kind: 'park' }): Promise<void> {
    const { job } = running
    const jobId = jobIdOf(job)
    const held = { ...this.#evidence(job, reason), ...(quarantine === undefined ? {} : { quarantine }) }
    try {
      await this.#around.add([{ queue: heldQueue, jobId, data: { ...data, held } }])
    } catch (error) {
      const why = `could not be held: ${messageOf(error)}`
      return this.#later(running, { kind: 'later', data, delayMs: 5000, reason: why })
    }
    job.opts.removeOnComplete = true
    if (held.crashes >= mostStarts) this.#log.error({ id: data.id, jobId, held }, 'poison: the job is held')
  }

  #evidence(job: BullJob, reason: string): HeldEvidence {
    return {
      queue: this.queue,
      reason,
      at: Date.now(),
      starts: job.attemptsStarted,
      crashes: job.stalledCounter,
      ...(job.processedBy === undefined ? {} : { worker: job.processedBy }),
    }
  }

  async #giveBack({ job, token, engine }: Running): Promise<void> {
    await engine.giveBack(job, token)
    throw givenBack()
  }

  /** The next start is told; should Redis be away, the lock ends and the queue itself knows. */
  async #giveBackBrokenOff(running: Running): Promise<void> {
    await this.#noteBrokenOff(running)
    await this.#giveBack(running)
  }

  async #noteBrokenOff({ job, engine }: Running): Promise<void> {
    try {
      await engine.store(job, { ...job.data, brokenOff: true })
    } catch (error) {
      this.#log.debug({ jobId: jobIdOf(job), error: String(error) }, 'it could not be noted that a job was broken off')
    }
  }

  /** Twice in a row, because once may be chance: a job that another worker takes this moment. */
  async #watch(): Promise<void> {
    const idleMs = Date.now() - Math.max(this.#lastTakenAt ?? 0, this.#engine.startedAt)
    const overdue = await this.#overdueWhileIdle(idleMs)
    const again = this.#suspicious
    this.#suspicious = overdue > 0
    if (overdue === 0 || !again || this.#closing !== undefined) return
    this.#suspicious = false
    const { connected } = this.#engine
    this.#log.warn({ overdue, idleMs, connected }, 'the queue is not empty but no job was taken; restarting the worker')
    this.#restart()
  }

  async #overdueWhileIdle(idleMs: number): Promise<number> {
    if (this.#closing !== undefined || idleMs < this.#watchdogMs) return 0
    if (this.#running.size >= this.#concurrency) return 0
    return this.#around.overdue(this.queue, this.#watchdogMs).catch(() => 0)
  }

  /** Of ten jobs one is the oldest, whoever sent it: so much is left to senders with much mail when others have enough for all workers. */
  async #bringOldest(): Promise<void> {
    const taken = this.#taken
    this.#taken = 0
    if (taken === 0 || this.#closing !== undefined) return
    await this.#around.bringOldest(this.queue, Math.min(Math.ceil(taken / 10), mostOldest)).catch(() => {})
  }

  /** New connections and a new loop; the old one keeps the locks of the jobs in hand until they are done. */
  #restart(): void {
    this.#restarts++
    const old = this.#engine
    this.#engine = this.#startEngine(Math.max(1, this.#concurrency - this.#running.size))
    const retired = this.#retire(old).then(() => {
      this.#engine.concurrency = this.#concurrency
      this.#retiring.delete(retired)
    })
    this.#retiring.add(retired)
  }

  async #retire(engine: BullEngine): Promise<void> {
    await engine.pause()
    while ([...this.#running].some((running) => running.engine === engine)) await sleep(50)
    await engine.stop(2000)
  }

  async #close(limitMs: number): Promise<void> {
    clearInterval(this.#watchdog)
    clearInterval(this.#oldestFirst)
    await this.#engine.pause()
    await this.#idleWithin(limitMs)
    for (const running of this.#running) running.controller.abort()
    await this.#idleWithin(abortGraceMs)
    const abandoned = [...this.#running]
    await Promise.all(abandoned.map((running) => this.#abandon(running)))
    const resultsLimitMs = abandoned.length === 0 ? 2000 : 100
    await Promise.all([this.#engine.stop(resultsLimitMs), ...this.#retiring])
  }

  async #abandon(running: Running): Promise<void> {
    running.abandoned = true
    this.#running.delete(running)
    if (!running.engine.connected) return
    await this.#noteBrokenOff(running)
    await running.engine.giveBack(running.job, running.token)
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

/** What was known of the start before says nothing of the next one. */
function cameToAnEnd(result: JobResult): JobResult {
  if (result.kind === 'done' || result.data.brokenOff === undefined) return result
  const { brokenOff: _earlier, ...data } = result.data
  return { ...result, data }
}

/** How long it waited can be told of its first start only: a later one was to wait. */
function isFresh({ attemptsStarted, opts }: BullJob): boolean {
  return attemptsStarted <= 1 && (opts.delay ?? 0) === 0
}

function priorityNow({ priority }: BullJob): number {
  return Number.isInteger(priority) ? priority : 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
