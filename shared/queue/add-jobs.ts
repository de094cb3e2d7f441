import type { JobJson, RedisQueueBackend } from 'bullmq'

import { heldQueue } from './job.ts'
import type { NewJob } from './job.ts'
import type { Producer } from './producer.ts'
import type { SenderShares } from './sender-shares.ts'
import { QueueUnavailableError } from './unavailable.ts'

/** Bounds how long one pipeline keeps Redis from others: 500 adds take about 30 ms. */
const largestBatch = 500
const pipelinesInFlight = 2

interface WaitingAdd {
  readonly jobs: readonly NewJob[]
  readonly resolve: () => void
  readonly reject: (reason: QueueUnavailableError) => void
}

/**
 * Adds jobs in batches: all adds of the same moment, and those that arrive while the pipelines are on the way, share one
 * pipeline over all queues. A job whose id exists in its queue, finished within the last hour included, is left as it is.
 */
export class JobAdder {
  readonly #producer: Producer
  readonly #shares: SenderShares
  #waiting: WaitingAdd[] = []
  #inFlight = 0
  #scheduled = false

  constructor(producer: Producer, shares: SenderShares) {
    this.#producer = producer
    this.#shares = shares
  }

  /**
   * Resolves when Redis has all jobs.
   * @throws QueueUnavailableError within 4 s; some of them may be there then. TypeError for a job id that cannot be one.
   */
  async add(jobs: readonly NewJob[]): Promise<void> {
    for (const { jobId } of jobs) checkJobId(jobId)
    if (jobs.length === 0) return
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ jobs, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= pipelinesInFlight) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#send(this.#nextBatch())
      if (this.#waiting.length > 0) this.#schedule()
    })
  }

  #nextBatch(): readonly WaitingAdd[] {
    let count = 0
    let end = 0
    while (end < this.#waiting.length && count < largestBatch) count += this.#waiting[end++]?.jobs.length ?? 0
    return this.#waiting.splice(0, end)
  }

  async #send(batch: readonly WaitingAdd[]): Promise<void> {
    if (batch.length === 0) return
    this.#inFlight++
    try {
      const failure = await this.#execute(batch)
      for (const one of batch)
        if (failure === undefined) one.resolve()
        else one.reject(failure)
    } finally {
      this.#inFlight--
      if (this.#waiting.length > 0) this.#schedule()
    }
  }

  async #execute(batch: readonly WaitingAdd[]): Promise<QueueUnavailableError | undefined> {
    try {
      const backend = await this.#producer.backend()
      const pipeline = (await backend.client).pipeline()
      const queued = batch.flatMap(({ jobs }) => jobs.map((job) => this.#queueAdd(backend, pipeline, job)))
      await Promise.all(queued)
      const results = (await pipeline.exec()) ?? []
      for (const [error, code] of results as [Error | null, unknown][]) {
        if (error !== null) throw error
        if (typeof code === 'number' && code < 0) throw new Error(`BullMQ refused a job with code ${code}`)
      }
      return undefined
    } catch (error) {
      if (error instanceof QueueUnavailableError) return error
      const reason = error instanceof Error ? error.message : String(error)
      return new QueueUnavailableError(`jobs could not be added: ${reason}`, { cause: error })
    }
  }

  /** Nobody works through what is held, and what goes first goes first. */
  #priorityOf({ queue, data, first }: NewJob): number {
    return queue === heldQueue || first === true ? 0 : this.#shares.priorityOf(queue, data)
  }

  async #queueAdd(backend: RedisQueueBackend, pipeline: Transaction, job: NewJob): Promise<void> {
    const record = jobRecord(job, this.#priorityOf(job))
    await backend.addJobToTransaction(pipeline, record, job.jobId, {}, this.#producer.keysOf(job.queue))
  }
}

/** BullMQ gives both a meaning of its own. */
function checkJobId(jobId: string): void {
  if (jobId.includes(':') || /^\d*$/.test(jobId)) throw new TypeError(`'${jobId}' is no job id: a ':' or only digits`)
}

type Transaction = Parameters<RedisQueueBackend['addJobToTransaction']>[0]

/** Only what the add script stores; attempts and clean-up are set by the worker, so that each job's record stays small. */
function jobRecord({ queue, jobId, data, delayMs = 0, first = false }: NewJob, priority: number): JobJson {
  return {
    id: jobId,
    name: queue,
    data: JSON.stringify(data),
    opts: {
      ...(delayMs > 0 ? { delay: Math.ceil(delayMs) } : {}),
      ...(first ? { lifo: true } : {}),
      ...(priority > 0 ? { priority } : {}),
      ...(data.trace === undefined ? {} : { tm: data.trace }),
    },
    progress: 0,
    attemptsMade: 0,
    attemptsStarted: 0,
    stalledCounter: 0,
    timestamp: Date.now(),
    failedReason: '',
    returnvalue: '',
  }
}
