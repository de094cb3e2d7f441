import type { Reply } from '../../shared/mail/reply.ts'
import type { ConnectionCounter, NoPlace } from './connection-counter.ts'

/** Whom a listener lets in now. */
export interface Gate {
  /** A function that gives the client's place back, once; or the reply its connection is closed with. */
  enter(address: string): (() => void) | Reply
}

/** Why a client may not come in now; undefined: it may. Asked at each connection, so it answers at once. */
export type MayEnter = (address: string) => Reply | undefined

/** Places are counted by all of the counters: of the process, of the listener. */
export function createGate(counters: readonly ConnectionCounter[], checks: readonly MayEnter[] = []): Gate {
  return {
    enter(address) {
      for (const check of checks) {
        const refusal = check(address)
        if (refusal !== undefined) return refusal
      }
      const taken: (() => void)[] = []
      for (const counter of counters) {
        const place = counter.take(address)
        if (typeof place === 'function') taken.push(place)
        else {
          for (const giveBack of taken) giveBack()
          return noPlace[place]
        }
      }
      return () => {
        for (const giveBack of taken.splice(0)) giveBack()
      }
    },
  }
}

const noPlace: Readonly<Record<NoPlace, Reply>> = {
  'server full': { code: 421, enhanced: '4.7.0', text: 'Too many connections, try again later' },
  'client full': { code: 421, enhanced: '4.7.0', text: 'Too many connections from your address' },
  'network full': { code: 421, enhanced: '4.7.0', text: 'Too many connections from your network' },
}
