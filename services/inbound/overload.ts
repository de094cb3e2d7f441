import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'

import type { Logger } from '../../shared/log.ts'
import type { Reply } from '../../shared/mail/reply.ts'

/** What is measured of a process once a second. */
export interface Load {
  /** How late its timers were on average. */
  readonly delayMs: number
  /** Of the memory it may have, 0 to 1. */
  readonly heapShare: number
}

/** New connections are refused from `high` on, and taken again below `low`. */
const delay = { highMs: 1_000, lowMs: 200 } as const
const heap = { high: 0.92, low: 0.8 } as const
/** So long in a row, before anybody is refused: what a single stop of the process does is over by itself. */
const highSamples = 5

export const overloaded: Reply = { code: 421, enhanced: '4.3.2', text: 'Too busy now, please try again later' }

/**
 * Refuses new connections before those that are there get nothing done any more. A full spool is told at DATA with 452, and mail that
 * Redis cannot take waits in the spool: only what this process itself lacks counts here, time and memory.
 */
export class Overload {
  readonly #log: Logger
  readonly #measure: () => Load
  #high = 0
  #reason: string | undefined

  constructor(log: Logger, measure: () => Load) {
    this.#log = log
    this.#measure = measure
  }

  /** Undefined: come in. */
  get refusal(): Reply | undefined {
    return this.#reason === undefined ? undefined : overloaded
  }

  /** For health: one sentence. */
  get troubles(): readonly string[] {
    return this.#reason === undefined ? [] : [`new connections are refused with 421: ${this.#reason}`]
  }

  /** To be called once a second. */
  look(): void {
    const load = this.#measure()
    if (this.#reason !== undefined) return this.#endWhenLow(load)
    const reason = reasonOf(load)
    this.#high = reason === undefined ? 0 : this.#high + 1
    if (reason === undefined || this.#high < highSamples) return
    this.#reason = reason
    this.#log.error({ ...load }, `overloaded, new connections are refused: ${reason}`)
  }

  #endWhenLow(load: Load): void {
    if (load.delayMs >= delay.lowMs || load.heapShare >= heap.low) return
    this.#reason = undefined
    this.#high = 0
    this.#log.info({ ...load }, 'no longer overloaded, new connections are taken again')
  }
}

function reasonOf({ delayMs, heapShare }: Load): string | undefined {
  if (delayMs >= delay.highMs) return `the process is ${(delayMs / 1_000).toFixed(1)} s behind with its work`
  return heapShare >= heap.high ? `${Math.round(heapShare * 100)} % of its memory are in use` : undefined
}

/** Measures this process, until closed. */
export function openLoadMeter(): { readonly measure: () => Load; close(): void } {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  histogram.enable()
  return {
    measure() {
      const late = histogram.count === 0 ? 0 : histogram.mean / 1e6 - resolutionMs
      histogram.reset()
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      return { delayMs: Math.max(0, late), heapShare: used / limit }
    },
    close: () => histogram.disable(),
  }
}

const resolutionMs = 100
