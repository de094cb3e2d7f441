import { setTimeout as sleep } from 'node:timers/promises'

import type { Clock } from '../clock.ts'
import type { WebhookSetting } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { formatDuration } from '../report/units.ts'
import type { EventBatch, EventsQuestion, Positions, Unread, UnreadQuestion } from './read-events.ts'
import { readState, webhookName, writeState } from './webhook-state.ts'
import type { WebhookState } from './webhook-state.ts'

export interface SenderParts {
  readonly setting: WebhookSetting
  /** Of the states. */
  readonly folder: string
  readonly ends: () => Promise<Positions>
  readonly next: (question: Omit<EventsQuestion, 'folder'>) => Promise<EventBatch>
  readonly unread: (question: Omit<UnreadQuestion, 'folder'>) => Promise<ReadonlyMap<string, Unread>>
  /** @throws Error when they were not taken */
  readonly post: (batch: Pick<EventBatch, 'id' | 'events'>, signal: AbortSignal) => Promise<void>
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly events: Pick<Events, 'webhookDropped'>
  readonly metrics: Pick<Metrics, 'webhookEvents'>
  readonly clock: Clock
  readonly log: Logger
}

const lookMs = 1_000
const firstPauseMs = 10_000
const longestPauseMs = 3_600_000
/** Events that a failing receiver has not taken by then are dropped. */
const keepMs = 3 * 86_400_000
const troubleAfterMs = 300_000
/** What was read and is wanted by nobody is written down so often. */
const savePositionsMs = 60_000

/**
 * Posts the events of one webhook as the journal tells them, each at least once: how far it is is kept when a request was answered. Waits
 * for nobody and holds one request's events in memory.
 */
export class WebhookSender {
  readonly name: string
  readonly #parts: SenderParts
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  /** One at a time: a step of the sender, or a trimming of the journal. */
  #turn: Promise<unknown> = Promise.resolve()
  #batch: EventBatch | undefined
  #unread: ReadonlyMap<string, Unread> = new Map()
  #isOpen = false
  #state: WebhookState = { positions: new Map(), sent: 0, dropped: 0 }
  #savedAt: number
  #caughtUpAt: number
  #fault: string | undefined

  constructor(parts: SenderParts) {
    this.name = webhookName(parts.setting.url)
    this.#parts = parts
    this.#savedAt = parts.clock.now()
    this.#caughtUpAt = parts.clock.now()
    this.#done = this.#run()
  }

  /** One sentence when it is behind for long. */
  get trouble(): string | undefined {
    const behindMs = this.#parts.clock.now() - this.#caughtUpAt
    if (behindMs < troubleAfterMs) return undefined
    const reason = this.#fault ?? this.#state.failure?.reason ?? 'there is more than it takes'
    return `webhook ${this.name} is behind for ${formatDuration(behindMs)}: ${reason}`
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  /**
   * Does work that may take files of the journal away; the sender waits meanwhile. What it had not read of them is counted as dropped, and
   * told.
   */
  trimming<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      if (!this.#isOpen || this.#stop.signal.aborted) return work()
      const { setting, unread } = this.#parts
      const question = { positions: this.#state.positions, events: setting.events }
      this.#unread = await unread({ ...question, counted: this.#unread })
      const result = await work()
      const left = await unread({ ...question, counted: this.#unread })
      await this.#lose([...this.#unread].filter(([name]) => !left.has(name)))
      this.#unread = left
      return result
    })
  }

  async #lose(gone: readonly (readonly [name: string, unread: Unread])[]): Promise<void> {
    const count = gone.reduce((sum, [, unread]) => sum + unread.count, 0)
    if (gone.length === 0) return
    // What is to be posted again may have been there.
    this.#batch = undefined
    const positions = new Map(this.#state.positions)
    for (const [name] of gone) positions.delete(name)
    await this.#save({ ...this.#state, positions, dropped: this.#state.dropped + count })
    const oldestAt = Math.min(...gone.map(([, unread]) => unread.oldestAt))
    if (count > 0) this.#tellDropped(count, oldestAt, 'the journal was trimmed')
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const pause = this.#parts.pause ?? ((ms: number) => sleep(ms, undefined, { signal }))
    while (!signal.aborted) {
      let pauseMs = lookMs
      try {
        pauseMs = await this.#inTurn(() => this.#step())
        this.#fault = undefined
      } catch (error) {
        if (signal.aborted) break
        this.#tellFault(error as Error)
        pauseMs = firstPauseMs
      }
      if (pauseMs > 0) await pause(pauseMs, signal).catch(() => undefined)
    }
    if (this.#isOpen) await this.#save(this.#state).catch((error: unknown) => this.#tellFault(error as Error))
  }

  /** Posts what comes next, or what was not taken before. @returns until the next step, ms */
  async #step(): Promise<number> {
    if (!this.#isOpen) await this.#open()
    this.#isOpen = true
    const batch = await this.#renew(this.#batch)
    this.#batch = batch
    if (batch.events.length > 0 && !(await this.#send(batch)))
      return Math.max(0, (this.#state.failure?.nextAt ?? 0) - this.#parts.clock.now())
    await this.#goBehind(batch)
    this.#batch = undefined
    return batch.isAll ? lookMs : 0
  }

  /** A new one begins where the journal ends; a receiver that failed before a restart is tried at once. */
  async #open(): Promise<void> {
    const { folder, ends, log } = this.#parts
    const found = await readState(folder, this.name, (reason) =>
      log.error(
        { webhook: this.name, reason },
        'how far the webhook was cannot be read: what it had not taken is left out, it begins with what happens from now on',
      ),
    )
    if (found === undefined) return this.#save({ positions: await ends(), sent: 0, dropped: 0 })
    const { failure: _old, ...state } = found
    this.#state = state
  }

  /** The same request again, as long as nothing in it is too old for a receiver that fails. */
  async #renew(batch: EventBatch | undefined): Promise<EventBatch> {
    const { setting, next, clock } = this.#parts
    const { positions, failure } = this.#state
    const notBefore = failure === undefined ? 0 : clock.now() - keepMs
    if (batch !== undefined && batch.oldestAt >= notBefore) return batch
    return next({ positions, events: setting.events, notBefore })
  }

  /** Whether it was taken. */
  async #send({ id, events }: EventBatch): Promise<boolean> {
    const { post, clock, metrics, log } = this.#parts
    const { signal } = this.#stop
    try {
      await post({ id, events }, signal)
    } catch (error) {
      if (signal.aborted) throw error
      await this.#noteFailure((error as Error).message)
      return false
    }
    const { failure, ...rest } = this.#state
    if (failure !== undefined) log.info({ webhook: this.name }, 'the webhook takes events again')
    metrics.webhookEvents.inc({ outcome: 'sent' }, events.length)
    this.#state = { ...rest, sent: rest.sent + events.length, sentAt: clock.now() }
    return true
  }

  async #noteFailure(reason: string): Promise<void> {
    const { clock, log } = this.#parts
    const { attempts, since } = this.#state.failure ?? { attempts: 0, since: clock.now() }
    const pauseMs = Math.min(firstPauseMs * 2 ** attempts, longestPauseMs) * (0.9 + 0.2 * Math.random())
    if (attempts === 0) log.warn({ webhook: this.name, reason }, 'the webhook does not take events; tried again')
    const failure = { attempts: attempts + 1, reason, since, nextAt: Math.round(clock.now() + pauseMs) }
    await this.#save({ ...this.#state, failure })
  }

  async #goBehind({ events, passedOver, positions, isAll }: EventBatch): Promise<void> {
    const { clock } = this.#parts
    const { count, oldestAt } = passedOver
    if (isAll) this.#caughtUpAt = clock.now()
    if (count > 0) this.#tellDropped(count, oldestAt, 'not taken in time')
    const state = { ...this.#state, positions, dropped: this.#state.dropped + count }
    const isDue = events.length + count > 0 || clock.now() - this.#savedAt > savePositionsMs
    if (isDue) await this.#save(state)
    this.#state = state
  }

  #tellDropped(count: number, oldestAt: number, reason: string): void {
    this.#parts.events.webhookDropped({ webhook: this.name, count, oldestAt, reason })
    this.#parts.metrics.webhookEvents.inc({ outcome: 'dropped' }, count)
  }

  async #save(state: WebhookState): Promise<void> {
    await writeState(this.#parts.folder, this.name, state)
    this.#state = state
    this.#savedAt = this.#parts.clock.now()
  }

  #tellFault(error: Error): void {
    if (this.#fault === undefined)
      this.#parts.log.warn({ webhook: this.name, err: error }, 'the webhook cannot do its work; tried again')
    this.#fault = error.message
  }
}
