import { systemClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { nextHost } from '../mail/next-host.ts'
import { RateMeter } from '../rate-meter.ts'
import type { RateFigures } from '../rate-meter.ts'
import type { Tracing } from '../tracing/span.ts'
import { JobAdder } from './add-jobs.ts'
import { openBackOff } from './back-off.ts'
import type { BackOff } from './back-off.ts'
import { openBans } from './bans.ts'
import type { Bans } from './bans.ts'
import { inspectRedis } from './check-redis.ts'
import type { RedisReport } from './check-redis.ts'
import { becomesReady, connectProducer, connectSubscriber, connectWorker, disconnect } from './connection.ts'
import type { RedisEndpoint } from './ensure-redis.ts'
import { Epoch } from './epoch.ts'
import { openGreylist } from './greylist.ts'
import type { Greylist } from './greylist.ts'
import { QueueInspector } from './inspect-queues.ts'
import type { JobState, JobSummary, QueueCounts } from './inspect-queues.ts'
import { heldQueue } from './job.ts'
import type { NewJob, StageJob } from './job.ts'
import { openLanes } from './lanes.ts'
import { openQueueLimits } from './limits.ts'
import type { QueueLimits } from './limits.ts'
import type { Lanes } from './lanes.ts'
import { openLeases } from './leases.ts'
import type { Leases } from './leases.ts'
import { openNotes } from './notes.ts'
import type { Notes } from './notes.ts'
import { openPenalties } from './penalties.ts'
import type { Penalties } from './penalties.ts'
import { openBringOldest } from './oldest-first.ts'
import type { BringOldest } from './oldest-first.ts'
import { Producer } from './producer.ts'
import { openQuestions } from './questions.ts'
import type { Questions } from './questions.ts'
import { openRateGate } from './rate-gate.ts'
import type { RateGate } from './rate-gate.ts'
import { withPrefix } from './redis-address.ts'
import type { RedisAddress } from './redis-address.ts'
import { RedisMonitor } from './redis-monitor.ts'
import { openTallies } from './tallies.ts'
import type { Tallies } from './tallies.ts'
import { SenderShares, orderOf } from './sender-shares.ts'
import { BullStageWorker } from './stage-worker.ts'
import type { WorkerSurroundings } from './stage-worker.ts'
import { QueueUnavailableError, reach } from './unavailable.ts'
import type { StageWorker, WorkOptions } from './work.ts'

export { heldQueue } from './job.ts'
export type { JobControl, JobHandler, JobResult, Lane, StageWorker, WorkOptions } from './work.ts'
export type { JobState, JobSummary, QueueCounts } from './inspect-queues.ts'
export { backOffLane } from './back-off.ts'
export type { BackOff, Entrance } from './back-off.ts'
export type { Ban, Bans } from './bans.ts'
export type { Lanes } from './lanes.ts'
export type { QueueLimit } from './limits.ts'
export type { Leases } from './leases.ts'
export type { Notes } from './notes.ts'
export type { Penalties } from './penalties.ts'
export type { Answer, Questions } from './questions.ts'
export type { RateGate, Taking } from './rate-gate.ts'
export type { Tallies } from './tallies.ts'
export { spreadMs } from './spread.ts'
export { QueueUnavailableError } from './unavailable.ts'

export interface OpenQueuesSettings {
  readonly endpoint: RedisEndpoint
  /** Begins every key; `sluice` in pipeline.conf's default. In a Cluster braces are put around it. */
  readonly prefix: string
  /** All queues but `held`, for counts and searches. */
  readonly names: readonly string[]
  readonly log: Logger
  /** Second part of the client names in Redis; `main` when left out. */
  readonly service?: string
  /** Absent: tracing is off. */
  readonly tracing?: Tracing
}

/** All queues of the system. What touches Redis rejects with QueueUnavailableError while it is away. */
export interface Queues {
  /** All names, `held` included. */
  readonly names: readonly string[]
  /** There are these queues too from now on: a new configuration names them. Those there were stay, for they may hold jobs. */
  include(names: readonly string[]): void
  /** Redis answers now. */
  readonly connected: boolean
  /** Redis is nearly full (75 % of maxmemory): feed no new mail, it waits in the spool; jobs on their way go on. */
  readonly tooFull: boolean
  /** The last look at Redis, at most 5 s old; undefined before the first. */
  readonly redis: RedisReport | undefined
  readonly lanes: Lanes
  /** Of what an operator lets queues do at most; `operate/queue-limits.ts` keeps them. */
  readonly limits: QueueLimits
  /** Of destinations that asked for less. */
  readonly backOff: BackOff
  /** Of hosts that gave no session. */
  readonly penalties: Penalties
  readonly rateGate: RateGate
  readonly greylist: Greylist
  /** What all processes count together. */
  readonly tallies: Tallies
  readonly bans: Bans
  readonly leases: Leases
  readonly notes: Notes
  /** About messages that are not accepted yet. */
  readonly questions: Questions

  /**
   * Adds jobs; those that exist, finished within the last hour included, are left as they are. Batched: call it as often as
   * you like. @throws QueueUnavailableError within 4 s
   */
  add(jobs: readonly NewJob[]): Promise<void>
  /** How many jobs this process added in the last ten minutes, by queue; those that were there already included. */
  added(): ReadonlyMap<string, RateFigures>
  /** Takes jobs from the queue until closed. */
  work(queue: string, options: WorkOptions): StageWorker

  counts(): Promise<ReadonlyMap<string, QueueCounts>>
  /** Jobs `start` to `end` (inclusive) of each of the states, in the order they will run. */
  list(queue: string, states: readonly JobState[], start: number, end: number): Promise<readonly JobSummary[]>
  /** How many of the first `most` held jobs came from each queue; costs little. */
  heldByQueue(most: number): Promise<ReadonlyMap<string, number>>
  job(queue: string, jobId: string): Promise<JobSummary | undefined>
  /** All jobs of a message in all queues, finished ones of the last hour included. */
  jobsOf(messageId: string): Promise<readonly JobSummary[]>
  /** Which of the jobs have a record, in their order. */
  exists(jobs: readonly { readonly queue: string; readonly jobId: string }[]): Promise<readonly boolean[]>
  /** Ids of all messages with an unfinished job; see QueueInspector about jobs that move meanwhile. */
  messagesWithJobs(): Promise<ReadonlySet<string>>
  /** How long the next waiting job has been due; 0 when none waits. */
  oldestAgeMs(queue: string): Promise<number>

  /** Runs a delayed job now, or `all` of them, also for destinations that are left alone; how many. */
  promote(queue: string, jobId: string): Promise<number>
  /** False when a worker has it, or it does not exist. */
  remove(queue: string, jobId: string): Promise<boolean>
  pause(queue: string): Promise<void>
  resume(queue: string): Promise<void>
  /** Takes a job that waits out of its queue until it is released; false when a worker has it, it is a question, or does not exist. */
  hold(queue: string, jobId: string, reason: string): Promise<boolean>
  /** Puts a held job back into its queue, with `change` applied; false when it is not held. */
  release(jobId: string, change?: (data: StageJob) => StageJob): Promise<boolean>

  /**
   * Changes a job where it lies, in one step; one that is delayed runs at once with `now`, also for a destination that is left alone. False
   * when a worker has it, it is a question, it is done, or does not exist.
   */
  change(queue: string, jobId: string, change: (data: StageJob) => StageJob, now?: boolean): Promise<boolean>
  /**
   * Gives one recipient of a job that waits, is delayed or held a job of its own in the same place. @returns its id, `jobId` itself when there is
   * no other recipient; undefined when a worker has it. What stops in between leaves one too many, never none, and both read the outcome
   * log before they start.
   */
  split(queue: string, jobId: string, recipient: number): Promise<string | undefined>

  /**
   * Puts the copy of one recipient of a held job back into its queue; the others stay held. False when it is not held for him. What
   * stops in between leaves one too many, never none.
   */
  releaseOne(jobId: string, recipient: number): Promise<boolean>
  /** Takes one recipient out of a held job, and the job with the last one; false when it is not held for him. */
  removeOne(jobId: string, recipient: number): Promise<boolean>

  /** Marks Redis as filled by us and remembers the mark; call before the first jobs and after a rebuild. */
  ensureEpoch(): Promise<string>
  epoch(): Promise<string | undefined>
  /** True when Redis lost the mark of `since`, or of the last `ensureEpoch`: rebuild from the spool. */
  wiped(since?: string): Promise<boolean>
  /** Changes with every start of the Redis server. */
  runId(): Promise<string>

  /** Resolves true when Redis answers, false when it does not within `timeoutMs`. */
  ready(timeoutMs: number): Promise<boolean>
  /** Closes the workers that are still open, then the connections. */
  close(): Promise<void>
}

export function openQueues(settings: OpenQueuesSettings): Queues {
  return new RedisQueues(settings)
}

class RedisQueues implements Queues {
  names: readonly string[]
  readonly lanes: Lanes
  readonly limits: QueueLimits
  readonly backOff: BackOff
  readonly penalties: Penalties
  readonly rateGate: RateGate
  readonly greylist: Greylist
  readonly tallies: Tallies
  readonly bans: Bans
  readonly leases: Leases
  readonly notes: Notes
  readonly questions: Questions
  readonly #place: { readonly address: RedisAddress; readonly prefix: string; readonly log: Logger }
  readonly #tracing: Tracing | undefined
  readonly #producer: Producer
  readonly #shares = new SenderShares(systemClock)
  readonly #adder: JobAdder
  readonly #bringOldest: BringOldest
  readonly #inspector: QueueInspector
  readonly #epoch: Epoch
  readonly #monitor: RedisMonitor
  readonly #workers = new Set<StageWorker>()
  readonly #added = new Map<string, RateMeter>()

  constructor(settings: OpenQueuesSettings) {
    const { names, log, service = 'main' } = settings
    const { address, prefix } = withPrefix(settings.endpoint.address, settings.prefix)
    this.#place = { address, prefix, log }
    this.#tracing = settings.tracing
    this.names = [...new Set([...names, heldQueue])]
    const redis = connectProducer({ address, service, log })
    this.#producer = new Producer(redis, prefix)
    this.#adder = new JobAdder(this.#producer, this.#shares)
    this.#bringOldest = openBringOldest(this.#producer, prefix)
    this.#inspector = new QueueInspector(this.#producer, prefix)
    this.#epoch = new Epoch(this.#producer, prefix)
    redis.on('ready', () => void this.#shortenEvents())
    this.#monitor = new RedisMonitor(redis, () => inspectRedis(redis, address), log)
    this.lanes = openLanes(this.#producer, prefix)
    this.limits = openQueueLimits(this.#producer)
    this.backOff = openBackOff(this.#producer, prefix)
    this.penalties = openPenalties(this.#producer, prefix)
    this.rateGate = openRateGate(this.#producer, prefix)
    this.greylist = openGreylist(this.#producer, prefix, { tooFull: () => this.tooFull })
    this.tallies = openTallies(this.#producer, prefix)
    this.bans = openBans(this.#producer, prefix)
    this.leases = openLeases(this.#producer, prefix)
    this.notes = openNotes(this.#producer, prefix)
    this.questions = openQuestions({
      producer: this.#producer,
      prefix,
      connect: () => connectSubscriber({ address, service: `${service}-answers`, log }),
      add: (jobs) => this.add(jobs),
      remove: (queue, jobId) => this.remove(queue, jobId),
    })
  }

  include(names: readonly string[]): void {
    const all = [...new Set([...this.names, ...names])]
    if (all.length === this.names.length) return
    this.names = all
    if (this.connected) void this.#shortenEvents()
  }

  get connected(): boolean {
    return this.#producer.redis.status === 'ready'
  }

  get tooFull(): boolean {
    return this.#monitor.report?.tooFull ?? false
  }

  get redis(): RedisReport | undefined {
    return this.#monitor.report
  }

  async add(jobs: readonly NewJob[]): Promise<void> {
    const refusal = this.#monitor.report?.refusals[0]
    if (refusal !== undefined) throw new QueueUnavailableError(refusal)
    await this.#adder.add(jobs)
    for (const { queue } of jobs) this.#meterOf(queue).count()
  }

  added(): ReadonlyMap<string, RateFigures> {
    return new Map([...this.#added].map(([queue, meter]) => [queue, meter.figures()]))
  }

  #meterOf(queue: string): RateMeter {
    const known = this.#added.get(queue)
    if (known !== undefined) return known
    const meter = new RateMeter(() => systemClock.now())
    this.#added.set(queue, meter)
    return meter
  }

  work(queue: string, options: WorkOptions): StageWorker {
    const { address, prefix, log } = this.#place
    const around: WorkerSurroundings = {
      prefix,
      log,
      tracing: this.#tracing,
      connect: () => connectWorker({ address, service: queue, log }),
      add: (jobs) => this.add(jobs),
      park: (name, jobId, data, lane, priority) =>
        this.lanes.park({ ...lane, queue: name, jobId, order: orderOf(data.receivedAt, priority) }),
      priorityOf: (name, data) => this.#shares.priorityOf(name, data),
      bringOldest: (name, count) => this.#bringOldest(name, count),
      countSuspectStart: async (name, jobId) => {
        const redis = await this.#producer.ready()
        return 1 + (await redis.hincrby(this.#producer.key(name, jobId), 'solo', 1))
      },
      overdue: (name, sinceMs) => this.#inspector.overdue(name, sinceMs),
    }
    const worker = new BullStageWorker(queue, options, around)
    this.#workers.add(worker)
    return worker
  }

  counts(): Promise<ReadonlyMap<string, QueueCounts>> {
    return reach(() => this.#inspector.counts(this.names))
  }

  list(queue: string, states: readonly JobState[], start: number, end: number): Promise<readonly JobSummary[]> {
    return reach(() => this.#inspector.list(queue, states, start, end))
  }

  heldByQueue(most: number): Promise<ReadonlyMap<string, number>> {
    return reach(() => this.#inspector.heldByQueue(heldQueue, most))
  }

  job(queue: string, jobId: string): Promise<JobSummary | undefined> {
    return reach(() => this.#inspector.job(queue, jobId))
  }

  jobsOf(messageId: string): Promise<readonly JobSummary[]> {
    return reach(() => this.#inspector.jobsOf(messageId))
  }

  exists(jobs: readonly { readonly queue: string; readonly jobId: string }[]): Promise<readonly boolean[]> {
    return reach(() => this.#inspector.exists(jobs))
  }

  messagesWithJobs(): Promise<ReadonlySet<string>> {
    return reach(() => this.#inspector.messagesWithJobs(this.names))
  }

  oldestAgeMs(queue: string): Promise<number> {
    return reach(() => this.#inspector.oldestAgeMs(queue))
  }

  promote(queue: string, jobId: string): Promise<number> {
    return reach(() => this.#promote(queue, jobId))
  }

  async #promote(queue: string, jobId: string): Promise<number> {
    const backend = await this.#producer.queue(queue)
    if (jobId !== 'all') {
      const found = await this.#inspector.job(queue, jobId)
      if (found?.state !== 'delayed') return 0
      const { lane, destination } = found.data
      const alone = lane ?? (destination === undefined ? undefined : nextHost(destination))
      if (alone !== undefined) await this.backOff.lift([alone])
      return backend.promote(jobId).then(
        () => 1,
        () => 0,
      )
    }
    const before = (await this.#inspector.counts([queue])).get(queue)?.delayed ?? 0
    if (queue === 'relay') await this.backOff.lift('all')
    while ((await backend.promoteJobs(1000)) > 0);
    return before
  }

  remove(queue: string, jobId: string): Promise<boolean> {
    return reach(async () => {
      if ((await this.#inspector.job(queue, jobId)) === undefined) return false
      const backend = await this.#producer.queue(queue)
      return (await backend.remove(jobId, false)) === 1
    })
  }

  pause(queue: string): Promise<void> {
    return reach(async () => (await this.#producer.queue(queue)).pause(true))
  }

  resume(queue: string): Promise<void> {
    return reach(async () => (await this.#producer.queue(queue)).pause(false))
  }

  /** The held copy first, then the job itself: what stops in between leaves one too many, never none. */
  async hold(queue: string, jobId: string, reason: string): Promise<boolean> {
    const job = await this.job(queue, jobId)
    if (job === undefined || queue === heldQueue || job.state === 'active' || job.state === 'completed') return false
    if (job.data.question !== undefined) return false
    const held = { queue, reason, at: Date.now(), starts: 0, crashes: 0 }
    await this.add([{ queue: heldQueue, jobId, data: { ...job.data, held } }])
    if (await this.remove(queue, jobId)) return true
    await this.remove(heldQueue, jobId)
    return false
  }

  async release(jobId: string, change: (data: StageJob) => StageJob = (data) => data): Promise<boolean> {
    const job = await this.job(heldQueue, jobId)
    if (job?.data.held === undefined) return false
    const { held, ...data } = job.data
    const queue = held.queue
    // A finished record under this id would make the add a duplicate.
    if ((await this.job(queue, jobId))?.state === 'completed') await this.remove(queue, jobId)
    await this.add([{ queue, jobId, data: change({ ...data, recheck: true }) }])
    await this.remove(heldQueue, jobId)
    return true
  }

  async releaseOne(jobId: string, recipient: number): Promise<boolean> {
    const job = await this.job(heldQueue, jobId)
    if (job?.data.held === undefined || !job.data.rcpt.includes(recipient)) return false
    if (job.data.rcpt.length === 1) return this.release(jobId)
    const { held, ...data } = only(job.data, recipient)
    await this.add([
      { queue: held?.queue ?? heldQueue, jobId: `${jobId}-${recipient}`, data: { ...data, recheck: true } },
    ])
    await this.removeOne(jobId, recipient)
    return true
  }

  removeOne(jobId: string, recipient: number): Promise<boolean> {
    return reach(async () => {
      const job = await this.#inspector.job(heldQueue, jobId)
      if (job?.data.rcpt.includes(recipient) !== true) return false
      if (job.data.rcpt.length === 1) return this.remove(heldQueue, jobId)
      return this.#replace(heldQueue, jobId, (data) => without(data, recipient))
    })
  }

  change(queue: string, jobId: string, change: (data: StageJob) => StageJob, now = false): Promise<boolean> {
    return reach(async () => {
      if (!(await this.#replace(queue, jobId, change))) return false
      const job = now ? await this.#inspector.job(queue, jobId) : undefined
      if (job?.state === 'delayed') await (await this.#producer.queue(queue)).promote(jobId).catch(() => undefined)
      return true
    })
  }

  async split(queue: string, jobId: string, recipient: number): Promise<string | undefined> {
    const marked = await reach(() => this.#replace(queue, jobId, (data) => ({ ...data, recheck: true })))
    const job = marked ? await this.job(queue, jobId) : undefined
    if (job?.data.rcpt.includes(recipient) !== true) return undefined
    if (job.data.rcpt.length === 1) return jobId
    const own = `${jobId}-${recipient}`
    const delayMs = job.nextAt === undefined ? 0 : Math.max(0, job.nextAt - Date.now())
    await this.add([{ queue, jobId: own, data: only(job.data, recipient), delayMs }])
    if (await reach(() => this.#replace(queue, jobId, (data) => without(data, recipient)))) return own
    await this.remove(queue, own)
    return undefined
  }

  /** Again when something else changed it in this moment. A job that a worker has is not changed: the worker would not see it. */
  async #replace(queue: string, jobId: string, change: (data: StageJob) => StageJob): Promise<boolean> {
    const [key, active] = [this.#producer.key(queue, jobId), this.#producer.key(queue, 'active')]
    for (;;) {
      const redis = await this.#producer.ready()
      const text = await redis.hget(key, 'data')
      if (text === null) return false
      const data = JSON.parse(text) as StageJob
      if (data.question !== undefined) return false
      const answer = await redis.eval(replaceData, 2, key, active, jobId, text, JSON.stringify(change(data)))
      if (answer !== 'changed') return answer === 1
    }
  }

  ensureEpoch(): Promise<string> {
    return reach(() => this.#epoch.ensure())
  }

  epoch(): Promise<string | undefined> {
    return reach(() => this.#epoch.read())
  }

  wiped(since?: string): Promise<boolean> {
    return reach(() => this.#epoch.wiped(since))
  }

  runId(): Promise<string> {
    return reach(() => this.#epoch.runId())
  }

  ready(timeoutMs: number): Promise<boolean> {
    return becomesReady(this.#producer.redis, timeoutMs)
  }

  /** Nobody reads BullMQ's event streams; by default each queue keeps 10,000 entries (1 MB). */
  async #shortenEvents(): Promise<void> {
    const pipeline = this.#producer.redis.pipeline()
    for (const name of this.names) pipeline.hset(this.#producer.key(name, 'meta'), 'opts.maxLenEvents', 0)
    await pipeline.exec().catch(() => {})
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.close()))
    this.#monitor.close()
    await this.questions.close()
    await disconnect(this.#producer.redis)
  }
}

const replaceData = `
if redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 or redis.call('LPOS', KEYS[2], ARGV[1]) then return 0 end
if redis.call('HGET', KEYS[1], 'data') ~= ARGV[2] then return 'changed' end
redis.call('HSET', KEYS[1], 'data', ARGV[3])
return 1`

function only(job: StageJob, recipient: number): StageJob {
  return { ...job, rcpt: [recipient], to: job.to.slice(job.rcpt.indexOf(recipient)).slice(0, 1) }
}

function without(job: StageJob, recipient: number): StageJob {
  const place = job.rcpt.indexOf(recipient)
  if (place < 0) return job
  return { ...job, rcpt: job.rcpt.toSpliced(place, 1), to: job.to.toSpliced(place, 1) }
}
