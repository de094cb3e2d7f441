import type { Clock } from '../../shared/clock.ts'

const slowMs = 1_000
const guessedMs = 100
const shortestWaitMs = 250
const longestWaitMs = 600_000
/** Those that are far behind are brought back by who is done; should that fail, they come one after the other, and not all at once. */
const spreadMs = 2 * 3_600_000
const maxRemembered = 10_000

interface Line {
  /** Epoch ms of the start of each message at work; the oldest first. */
  readonly atWork: Map<symbol, number>
  /** Of the last messages; undefined before the first is done. */
  averageMs: number | undefined
  /** Epoch ms: when the last one that was sent away is to come back. */
  nextAt: number
  /** Some were sent away, and may be waiting for a turn. */
  sentAway: boolean
}

export type Turn =
  | {
      readonly kind: 'turn'
      readonly leave: () => void
      readonly isAwaited: () => boolean
      readonly noneWaits: () => void
    }
  | { readonly kind: 'wait'; readonly waitMs: number }

/**
 * Keeps a slow destination from taking all workers of this process: it gets a share of them, and what is beyond comes back about when
 * its turn is, or when one of those at work is done. A destination that answers within a second gets as many as there are.
 */
export class DestinationLines {
  readonly #clock: Clock
  readonly #lines = new Map<string, Line>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Who leaves while the turn `isAwaited` brings one of those back that were sent away; when there is none, `noneWaits`.
   *
   * @param share how many messages of a slow destination may be at work
   */
  enter(destination: string, share: number): Turn {
    const line = this.#line(destination)
    const nowAt = this.#clock.now()
    if (line.atWork.size >= share && isSlow(line, nowAt)) {
      line.sentAway = true
      return { kind: 'wait', waitMs: waitMs(line, share, nowAt) }
    }
    const mine = Symbol(destination)
    line.atWork.set(mine, nowAt)
    return {
      kind: 'turn',
      leave: () => this.#leave(line, mine),
      isAwaited: () => line.sentAway,
      noneWaits: () => {
        line.sentAway = false
      },
    }
  }

  #leave(line: Line, mine: symbol): void {
    const tookMs = this.#clock.now() - (line.atWork.get(mine) ?? 0)
    line.atWork.delete(mine)
    line.averageMs = line.averageMs === undefined ? tookMs : line.averageMs * 0.8 + tookMs * 0.2
  }

  #line(destination: string): Line {
    const known = this.#lines.get(destination)
    if (known !== undefined) return known
    if (this.#lines.size >= maxRemembered) this.#forgetIdle()
    const line: Line = { atWork: new Map(), averageMs: undefined, nextAt: 0, sentAway: false }
    this.#lines.set(destination, line)
    return line
  }

  #forgetIdle(): void {
    for (const [destination, line] of this.#lines) if (line.atWork.size === 0) this.#lines.delete(destination)
  }
}

/** Unknown counts as slow: a backlog would fill all workers before the first answer. */
function isSlow(line: Line, nowAt: number): boolean {
  return line.averageMs === undefined || line.averageMs >= slowMs || oldestMs(line, nowAt) >= slowMs
}

function oldestMs({ atWork }: Line, nowAt: number): number {
  for (const startedAt of atWork.values()) return nowAt - startedAt
  return 0
}

/** Before the first answer it is taken for fast, until it has been silent for longer. */
function waitMs(line: Line, share: number, nowAt: number): number {
  const everyMs = Math.max(line.averageMs ?? guessedMs, oldestMs(line, nowAt)) / share
  line.nextAt = Math.min(Math.max(line.nextAt, nowAt + shortestWaitMs) + everyMs, nowAt + longestWaitMs)
  const waitMs = line.nextAt - nowAt
  return Math.ceil(waitMs < longestWaitMs ? waitMs : waitMs + Math.random() * spreadMs)
}
