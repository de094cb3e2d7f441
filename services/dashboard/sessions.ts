import { createHash, randomBytes } from 'node:crypto'

import type { Clock } from '../../shared/clock.ts'

/** Somebody who signed in. */
export interface Session {
  /** As the table of operators has it, in lower case. */
  readonly name: string
  /** His entry in that table; another one now means that the session is over. */
  readonly credential: string
  readonly startedAt: number
}

export interface SessionLimits {
  /** Without a request of his own; pages that refresh themselves do not count. */
  readonly idleMs: number
  /** From sign-in on, whatever he does. */
  readonly absoluteMs: number
  /** At once; the one unused for longest goes. */
  readonly most: number
}

const usual: SessionLimits = { idleMs: 60 * 60_000, absoluteMs: 12 * 60 * 60_000, most: 1_000 }

interface Kept extends Session {
  usedAt: number
}

/** Sessions of this process, in memory: a restart ends them. A token is 256 random bits; only its digest is kept. */
export class Sessions {
  readonly #clock: Clock
  readonly #limits: SessionLimits
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>()

  constructor(clock: Clock, limits: Partial<SessionLimits> = {}) {
    this.#clock = clock
    this.#limits = { ...usual, ...limits }
  }

  /** @returns the token, for the cookie */
  start(name: string, credential: string): string {
    const token = randomBytes(32).toString('base64url')
    const now = this.#clock.now()
    this.#kept.set(digestOf(token), { name, credential, startedAt: now, usedAt: now })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limits.most) break
      this.#kept.delete(oldest)
    }
    return token
  }

  /** `use`: the operator himself asks, which keeps the session. */
  find(token: string, use: boolean): Session | undefined {
    const digest = digestOf(token)
    const kept = this.#kept.get(digest)
    if (kept === undefined) return undefined
    const now = this.#clock.now()
    if (now - kept.usedAt >= this.#limits.idleMs || now - kept.startedAt >= this.#limits.absoluteMs) {
      this.#kept.delete(digest)
      return undefined
    }
    if (use) {
      kept.usedAt = now
      this.#kept.delete(digest)
      this.#kept.set(digest, kept)
    }
    return kept
  }

  end(token: string): void {
    this.#kept.delete(digestOf(token))
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
