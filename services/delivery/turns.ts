import type { Reply } from '../../shared/mail/reply.ts'
import { SmtpError } from '../../shared/mail/reply.ts'

export interface TurnLimits {
  readonly all: number
  readonly perUser: number
}

/** Longer waits keep the queue from the mail of others: the message comes again on its schedule. */
const waitMs = 5_000
const busy: Reply = { code: 451, enhanced: '4.3.2', text: 'Too many commands run already, try again later' }

interface Waiting {
  readonly user: string
  readonly limits: TurnLimits
  readonly begin: () => void
}

/** How many commands run at a time, and for one user. */
export class CommandTurns {
  readonly #running = new Map<string, number>()
  #waiting: Waiting[] = []
  #count = 0

  /** @throws SmtpError 451 when no turn comes within some seconds */
  async take<Result>(user: string, limits: TurnLimits, work: () => Promise<Result>): Promise<Result> {
    await this.#turn(user, limits)
    try {
      return await work()
    } finally {
      this.#end(user)
    }
  }

  #turn(user: string, limits: TurnLimits): Promise<void> {
    if (this.#isFree(user, limits)) {
      this.#begin(user)
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(new SmtpError(busy))
      }, waitMs)
      const waiting: Waiting = {
        user,
        limits,
        begin: () => {
          clearTimeout(timer)
          this.#begin(user)
          resolve()
        },
      }
      this.#waiting.push(waiting)
    })
  }

  #end(user: string): void {
    this.#count -= 1
    const left = (this.#running.get(user) ?? 1) - 1
    if (left > 0) this.#running.set(user, left)
    else this.#running.delete(user)
    const next = this.#waiting.find((one) => this.#isFree(one.user, one.limits))
    if (next === undefined) return
    this.#waiting = this.#waiting.filter((one) => one !== next)
    next.begin()
  }

  #begin(user: string): void {
    this.#count += 1
    this.#running.set(user, (this.#running.get(user) ?? 0) + 1)
  }

  #isFree(user: string, { all, perUser }: TurnLimits): boolean {
    return this.#count < all && (this.#running.get(user) ?? 0) < perUser
  }
}
