import type { Redis } from 'ioredis'

import type { StageJob } from './job.ts'
import { limitField, parseLimit } from './limits.ts'
import type { QueueLimit } from './limits.ts'
import type { Producer } from './producer.ts'

export type JobState = 'waiting' | 'active' | 'delayed' | 'completed'

export interface QueueCounts {
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly paused: boolean
  /** What an operator lets it do at most. */
  readonly limit?: QueueLimit
}

export interface JobSummary {
  readonly queue: string
  readonly jobId: string
  readonly state: JobState
  readonly data: StageJob
  /** Attempts that ended in a temporary failure. */
  readonly attempts: number
  readonly lastReply?: string
  /** Why it runs later, or why it is held. */
  readonly reason?: string
  readonly addedAt: number
  /** Delayed jobs: the time of the next attempt. */
  readonly nextAt?: number
  readonly starts: number
  /** Of its last start. */
  readonly startedAt?: number
  /** `host:pid` of the worker that has or had it. */
  readonly worker?: string
}

/** The layout of BullMQ's keys, read only. Never blocks Redis for longer than a page of jobs takes. */
export class QueueInspector {
  readonly #producer: Producer
  readonly #prefix: string

  constructor(producer: Producer, prefix: string) {
    this.#producer = producer
    this.#prefix = prefix
  }

  async counts(names: readonly string[]): Promise<ReadonlyMap<string, QueueCounts>> {
    const redis = await this.#producer.ready()
    const pipeline = redis.pipeline()
    for (const name of names) {
      pipeline.llen(this.#key(name, 'wait')).zcard(this.#key(name, 'prioritized')).llen(this.#key(name, 'active'))
      pipeline.zcard(this.#key(name, 'delayed')).hexists(this.#key(name, 'meta'), 'paused')
      pipeline.hget(this.#key(name, 'meta'), limitField)
    }
    const answers = await results(pipeline)
    return new Map(
      names.map((name, at) => {
        const own = answers.slice(at * 6, at * 6 + 6)
        const [first = 0, later = 0, active = 0, delayed = 0, paused = 0] = own.slice(0, 5).map(Number)
        const limit = parseLimit(own[5])
        const counts = { waiting: first + later, active, delayed, paused: paused === 1 }
        return [name, limit === undefined ? counts : { ...counts, limit }]
      }),
    )
  }

  /** Summaries from `start` to `end` (inclusive) of each state, in the order they will run; finished ones newest first. */
  async list(queue: string, states: readonly JobState[], start: number, end: number): Promise<readonly JobSummary[]> {
    const redis = await this.#producer.ready()
    const pages = await Promise.all(states.map((state) => this.#page(redis, queue, state, start, end)))
    return this.#summaries(redis, pages.flat())
  }

  /** How many of the first `most` jobs in `held` came from each queue, by their ids alone: none of them is read. */
  async heldByQueue(held: string, most: number): Promise<ReadonlyMap<string, number>> {
    const redis = await this.#producer.ready()
    const counts = new Map<string, number>()
    for (const jobId of await this.#waiting(redis, held, 0, most - 1)) {
      const queue = jobId.split('.')[1] ?? ''
      counts.set(queue, (counts.get(queue) ?? 0) + 1)
    }
    return counts
  }

  async job(queue: string, jobId: string): Promise<JobSummary | undefined> {
    const redis = await this.#producer.ready()
    const place = await this.#placeOf(redis, queue, jobId)
    return place === undefined ? undefined : (await this.#summaries(redis, [place]))[0]
  }

  /** All jobs of a message, finished ones included while their record exists; scans the keys, about 0.1 s with 100,000 jobs. */
  async jobsOf(messageId: string): Promise<readonly JobSummary[]> {
    const redis = await this.#producer.ready()
    const found = new Map<string, readonly [string, string]>()
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${this.#prefix}:*:${messageId}.*`, 'COUNT', 5000)
      cursor = next
      for (const key of keys) {
        const [queue, jobId, part] = key.slice(this.#prefix.length + 1).split(':')
        if (queue !== undefined && jobId !== undefined && part === undefined) found.set(key, [queue, jobId])
      }
    } while (cursor !== '0')
    const places = await Promise.all([...found.values()].map(([queue, jobId]) => this.#placeOf(redis, queue, jobId)))
    return this.#summaries(
      redis,
      places.filter((place) => place !== undefined),
    )
  }

  /** Which of these jobs have a record, a finished one included. */
  async exists(jobs: readonly { readonly queue: string; readonly jobId: string }[]): Promise<readonly boolean[]> {
    const redis = await this.#producer.ready()
    const found: boolean[] = []
    for (let from = 0; from < jobs.length; from += 1000) {
      const pipeline = redis.pipeline()
      for (const { queue, jobId } of jobs.slice(from, from + 1000)) pipeline.exists(this.#key(queue, jobId))
      found.push(...(await results(pipeline)).map((number) => number === 1))
    }
    return found
  }

  /**
   * Ids of all messages that have an unfinished job in one of the queues. A job that moves on while this reads may be missed:
   * look again (`jobsOf`) before a message is called lost.
   */
  async messagesWithJobs(names: readonly string[]): Promise<ReadonlySet<string>> {
    const redis = await this.#producer.ready()
    const ids = new Set<string>()
    for (const name of names) {
      for (const state of ['delayed', 'waiting', 'active'] as const) {
        for (let from = 0; ; from += 5000) {
          const page = await this.#page(redis, name, state, from, from + 4999)
          for (const { jobId } of page) ids.add(jobId.slice(0, jobId.indexOf('.')))
          if (page.length < 5000) break
        }
      }
    }
    return ids
  }

  /** How long a job has been due that waits: the next one, or the next of those of senders with much mail; 0 when none waits. */
  async oldestAgeMs(queue: string): Promise<number> {
    const redis = await this.#producer.ready()
    const heads = redis
      .pipeline()
      .lindex(this.#key(queue, 'wait'), -1)
      .zrange(this.#key(queue, 'prioritized'), '0', '0')
    const jobIds = (await results(heads)).flat().filter((jobId) => typeof jobId === 'string')
    const pipeline = redis.pipeline()
    for (const jobId of jobIds) pipeline.hmget(this.#key(queue, jobId), 'due', 'timestamp')
    const since = (await results(pipeline)).map((times) => {
      const [due, timestamp] = times as readonly (string | null)[]
      return Number(due ?? timestamp ?? Date.now())
    })
    return Math.max(0, ...since.map((at) => Date.now() - at))
  }

  /** Waiting jobs, and delayed ones due for `sinceMs`; 0 when the queue is paused, or has just done what its limit lets it do. */
  async overdue(queue: string, sinceMs: number): Promise<number> {
    const redis = await this.#producer.ready()
    const pipeline = redis.pipeline()
    pipeline.hexists(this.#key(queue, 'meta'), 'paused').llen(this.#key(queue, 'wait'))
    pipeline.zcard(this.#key(queue, 'prioritized'))
    pipeline.zcount(this.#key(queue, 'delayed'), 0, (Date.now() - sinceMs) * delayedScoreUnit)
    pipeline.llen(this.#key(queue, 'active')).get(this.#key(queue, 'limiter'))
    pipeline.hget(this.#key(queue, 'meta'), 'concurrency').hget(this.#key(queue, 'meta'), 'max')
    const answers = await results(pipeline)
    const [paused = 0, waiting = 0, prioritized = 0, late = 0, active = 0, taken = 0] = answers.map(Number)
    const [concurrency, most] = answers.slice(6).map((text) => (text === null ? Infinity : Number(text)))
    const isLimited = active >= (concurrency ?? Infinity) || taken >= (most ?? Infinity)
    return paused === 1 || isLimited ? 0 : waiting + prioritized + late
  }

  #key(queue: string, type: string): string {
    return this.#producer.key(queue, type)
  }

  async #page(redis: Redis, queue: string, state: JobState, start: number, end: number): Promise<readonly Place[]> {
    switch (state) {
      case 'waiting': {
        const ids = await this.#waiting(redis, queue, start, end)
        return ids.map((jobId) => ({ queue, jobId, state }))
      }
      case 'active': {
        // Jobs enter at the left and leave at the right.
        const ids = await redis.lrange(this.#key(queue, 'active'), -end - 1, -start - 1)
        return ids.reverse().map((jobId) => ({ queue, jobId, state }))
      }
      case 'delayed': {
        const flat = await redis.zrange(this.#key(queue, 'delayed'), String(start), String(end), 'WITHSCORES')
        return pairs(flat).map(([jobId, score]) => ({ queue, jobId, state, nextAt: dueAt(score) }))
      }
      case 'completed': {
        const ids = await redis.zrevrange(this.#key(queue, 'completed'), start, end)
        return ids.map((jobId) => ({ queue, jobId, state }))
      }
    }
  }

  /** Behind the list are those of senders with much mail. */
  async #waiting(redis: Redis, queue: string, start: number, end: number): Promise<readonly string[]> {
    const first = await redis.lrange(this.#key(queue, 'wait'), -end - 1, -start - 1)
    if (first.length === end - start + 1) return first.reverse()
    const before = first.length > 0 ? start + first.length : await redis.llen(this.#key(queue, 'wait'))
    const from = Math.max(0, start - before)
    return [
      ...first.reverse(),
      ...(await redis.zrange(this.#key(queue, 'prioritized'), String(from), String(end - before))),
    ]
  }

  async #placeOf(redis: Redis, queue: string, jobId: string): Promise<Place | undefined> {
    const pipeline = redis.pipeline()
    pipeline.exists(this.#key(queue, jobId)).zscore(this.#key(queue, 'delayed'), jobId)
    pipeline.zscore(this.#key(queue, 'completed'), jobId).lpos(this.#key(queue, 'active'), jobId)
    const [exists, delayed, completed, active] = await results(pipeline)
    if (exists !== 1) return undefined
    if (typeof delayed === 'string') return { queue, jobId, state: 'delayed', nextAt: dueAt(delayed) }
    if (completed !== null) return { queue, jobId, state: 'completed' }
    return { queue, jobId, state: active === null ? 'waiting' : 'active' }
  }

  async #summaries(redis: Redis, places: readonly Place[]): Promise<readonly JobSummary[]> {
    const pipeline = redis.pipeline()
    for (const { queue, jobId } of places) pipeline.hmget(this.#key(queue, jobId), ...fields)
    const rows = await results(pipeline)
    return places.flatMap((place, at) => summaryOf(place, rows[at] as readonly (string | null)[]))
  }
}

interface Place {
  readonly queue: string
  readonly jobId: string
  readonly state: JobState
  readonly nextAt?: number
}

const fields = ['data', 'timestamp', 'ats', 'pb', 'reason', 'processedOn'] as const

/** BullMQ's delayed set is ordered by due time times 4096 plus a counter. */
const delayedScoreUnit = 0x1000

function summaryOf(
  place: Place,
  [text, timestamp, starts, worker, reason, startedAt]: readonly (string | null)[],
): readonly JobSummary[] {
  if (typeof text !== 'string') return []
  const data = JSON.parse(text) as StageJob
  const why = data.held?.reason ?? reason
  return [
    {
      ...place,
      data,
      attempts: data.attempts,
      addedAt: Number(timestamp),
      starts: Number(starts ?? 0),
      ...(data.lastReply === undefined ? {} : { lastReply: data.lastReply }),
      ...(typeof why === 'string' ? { reason: why } : {}),
      ...(typeof worker === 'string' ? { worker } : {}),
      ...(typeof startedAt === 'string' ? { startedAt: Number(startedAt) } : {}),
    },
  ]
}

function dueAt(score: string): number {
  return Math.floor(Number(score) / delayedScoreUnit)
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  return flat.flatMap((member, at) => (at % 2 === 0 ? [[member, flat[at + 1] ?? '0'] as const] : []))
}

async function results(pipeline: ReturnType<Redis['pipeline']>): Promise<readonly unknown[]> {
  const rows = (await pipeline.exec()) ?? []
  return rows.map(([error, value]) => {
    if (error !== null) throw error
    return value
  })
}
