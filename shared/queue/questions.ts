import { randomBytes } from 'node:crypto'

import type { Redis } from 'ioredis'

import type { JournalEntry } from '../journal.ts'
import type { Disposition } from '../mail/disposition.ts'
import { becomesReady, disconnect } from './connection.ts'
import type { NewJob, Question } from './job.ts'
import type { Producer } from './producer.ts'
import { QueueUnavailableError, reach } from './unavailable.ts'

/** What a stage decided about a message that is not accepted yet; nothing was done about it. */
export type Answer =
  | {
      readonly kind: 'decided'
      readonly disposition: Disposition
      /** What the stage would have written into the story: `dry` alone. */
      readonly told?: readonly JournalEntry[]
    }
  /** Nobody decided; why, for the story. */
  | { readonly kind: 'none'; readonly reason: string }

export interface Asking {
  /** Epoch ms; nobody waits any longer. */
  readonly untilAt: number
  /** Ends the waiting at once. */
  readonly signal: AbortSignal
  /** About a message that was accepted long ago. */
  readonly dry?: true
}

/**
 * Asks the workers of a queue about messages while a client waits. Never rejects and always ends in time: when Redis is away or goes away,
 * when nobody takes the job, or when its worker dies, there is no answer.
 */
export interface Questions {
  /** Adds the job before all that wait, for its decision only. No job stays behind. */
  ask(job: NewJob, asking: Asking): Promise<Answer>
  /** For the worker that was asked. @throws QueueUnavailableError */
  answer(question: Question, jobId: string, answer: Answer): Promise<void>
  close(): Promise<void>
}

export interface QuestionParts {
  readonly producer: Producer
  readonly prefix: string
  /** A connection for the answers; opened with the first question. */
  connect(): Redis
  /** @throws QueueUnavailableError */
  add(jobs: readonly NewJob[]): Promise<void>
  remove(queue: string, jobId: string): Promise<boolean>
}

export function openQuestions(parts: QuestionParts): Questions {
  const answers = new Answers(parts)
  return {
    ask: (job, asking) => answers.to(job, asking),
    answer: (question, jobId, answer) =>
      reach(async () => {
        const redis = await parts.producer.ready()
        await redis.publish(question.channel, JSON.stringify({ jobId, answer }))
      }),
    close: () => answers.close(),
  }
}

const connectMs = 3_000

/** The asking side: one channel for each process, and who waits at it. */
class Answers {
  readonly #parts: QuestionParts
  readonly #channel: string
  readonly #waiting = new Map<string, (answer: Answer) => void>()
  #redis: Redis | undefined
  /** Ends with the connection. */
  #listening: Promise<void> | undefined
  #isClosed = false

  constructor(parts: QuestionParts) {
    this.#parts = parts
    this.#channel = `${parts.prefix}:@answers:${randomBytes(9).toString('base64url')}`
  }

  async to(job: NewJob, { untilAt, signal, dry }: Asking): Promise<Answer> {
    const { jobId, queue, data } = job
    const given = new Promise<Answer>((resolve) => this.#waiting.set(jobId, resolve))
    const leave = (reason: string): void => this.#waiting.get(jobId)?.({ kind: 'none', reason })
    const onAbort = (): void => leave(String(signal.reason))
    const timer = setTimeout(() => {
      leave('nobody answered in time')
      // A connection that nothing comes through is given up.
      this.#redis?.ping().catch(() => undefined)
    }, untilAt - Date.now())
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    else void this.#send({ ...job, first: true, data: { ...data, question: this.#question(untilAt, dry) } }, leave)
    const answer = await given
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    this.#waiting.delete(jobId)
    // A worker that has it already drops it itself.
    if (answer.kind === 'none') void this.#parts.remove(queue, jobId).catch(() => undefined)
    return answer
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#leaveAll('the service stops')
    if (this.#redis !== undefined) await disconnect(this.#redis)
  }

  #question(untilAt: number, dry: true | undefined): Question {
    return { untilAt, channel: this.#channel, ...(dry && { dry }) }
  }

  /** Never rejects. */
  async #send(job: NewJob, leave: (reason: string) => void): Promise<void> {
    try {
      await this.#parts.producer.ready()
      await (this.#listening ??= this.#listen())
      if (!this.#waiting.has(job.jobId)) return
      await this.#parts.add([job])
      // What took it out when nobody waited any longer may have come before it.
      if (!this.#waiting.has(job.jobId)) await this.#parts.remove(job.queue, job.jobId)
    } catch (error) {
      leave(error instanceof Error ? error.message : String(error))
    }
  }

  async #listen(): Promise<void> {
    try {
      if (this.#isClosed) throw new QueueUnavailableError('the service stops')
      const redis = (this.#redis ??= this.#connect())
      if (!(await becomesReady(redis, connectMs))) throw new QueueUnavailableError('Redis is away')
      await redis.subscribe(this.#channel)
    } catch (error) {
      this.#listening = undefined
      throw error
    }
  }

  #connect(): Redis {
    const redis = this.#parts.connect()
    redis.on('message', (_channel: string, text: string) => this.#take(text))
    redis.on('close', () => {
      this.#listening = undefined
      this.#leaveAll('the connection to Redis was lost')
    })
    return redis
  }

  #take(text: string): void {
    const said = parseAnswer(text)
    if (said !== undefined) this.#waiting.get(said.jobId)?.(said.answer)
  }

  #leaveAll(reason: string): void {
    for (const resolve of this.#waiting.values()) resolve({ kind: 'none', reason })
  }
}

/** Undefined: none of ours. */
function parseAnswer(text: string): { readonly jobId: string; readonly answer: Answer } | undefined {
  try {
    const { jobId, answer } = JSON.parse(text) as { readonly jobId?: unknown; readonly answer?: Answer }
    return typeof jobId === 'string' && typeof answer?.kind === 'string' ? { jobId, answer } : undefined
  } catch {
    return undefined
  }
}
