import type { Clock } from '../clock.ts'
import { domainOf } from '../mail/address.ts'
import type { StageJob } from './job.ts'

/** What a sender sent counts half after so long. */
const halvesAfterMs = 600_000
/** Of so much in that time nobody takes notice. */
const free = 32
const maxRemembered = 20_000
/** BullMQ runs 0 first, then 1 and so on; reached by a million messages. */
export const lastPriority = 16
const penaltyMs = 60_000
const longestPenaltyMs = 4 * 3_600_000

interface Share {
  amount: number
  at: number
}

/**
 * Who sent much lately goes behind who sent little, wherever there is a backlog: as a scheduler of processes does it, by use that decays.
 * What one process saw; none of it is kept in Redis.
 */
export class SenderShares {
  readonly #clock: Clock
  readonly #shares = new Map<string, Share>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one message more for the sender of the job in this queue; 0 for who has had few, one more each time that doubles. */
  priorityOf(queue: string, job: StageJob): number {
    const nowAt = this.#clock.now()
    const share = this.#shareOf(`${queue} ${senderOf(job)}`, nowAt)
    share.amount = share.amount * decay(nowAt - share.at) + 1
    share.at = nowAt
    return share.amount <= free ? 0 : Math.min(lastPriority, 1 + Math.floor(Math.log2(share.amount / free)))
  }

  #shareOf(key: string, nowAt: number): Share {
    const known = this.#shares.get(key)
    if (known !== undefined) return known
    if (this.#shares.size >= maxRemembered) this.#forgetSmall(nowAt)
    const share = { amount: 0, at: nowAt }
    this.#shares.set(key, share)
    return share
  }

  #forgetSmall(nowAt: number): void {
    for (const [key, { amount, at }] of this.#shares)
      if (amount * decay(nowAt - at) < free / 2) this.#shares.delete(key)
    if (this.#shares.size >= maxRemembered) this.#shares.clear()
  }
}

/**
 * Where a job of that priority stands among those that wait for the same destination: as if it had been accepted so much later. Thus what waits
 * long enough goes before what came lately, whoever sent it.
 */
export function orderOf(receivedAt: number, priority: number): number {
  return receivedAt + (priority <= 0 ? 0 : Math.min(penaltyMs * 2 ** (priority - 1), longestPenaltyMs))
}

/** The user who signed in, else the domain of the reverse-path, else the client; our own reports are one sender. */
function senderOf({ sender, from }: StageJob): string {
  return sender ?? (from === null ? '' : domainOf(from))
}

function decay(passedMs: number): number {
  return passedMs < 1_000 ? 1 : 2 ** (-passedMs / halvesAfterMs)
}
