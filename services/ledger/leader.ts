import { randomBytes } from 'node:crypto'

import type { Clock } from '../../shared/clock.ts'
import type { Leases } from '../../shared/queue/leases.ts'

const ttlMs = 60_000
/** The answer holds for so long. */
const freshMs = 5_000
const leaseName = 'ledger'

/** Which of several ledgers looks after a spool that they share. */
export interface Leader {
  leads(): Promise<boolean>
  close(): Promise<void>
}

/** The only ledger of its spool. */
export const alone: Leader = { leads: async () => true, close: async () => undefined }

/** One of several: a minute after the one that leads fell silent another one does. */
export function openLeader(leases: Leases, clock: Clock): Leader {
  const holder = randomBytes(9).toString('base64url')
  let known = { leads: false, at: Number.NEGATIVE_INFINITY }
  return {
    async leads() {
      const at = clock.now()
      if (Math.abs(at - known.at) >= freshMs) known = { leads: await leases.hold(leaseName, holder, ttlMs), at }
      return known.leads
    },
    close: () => leases.release(leaseName, holder).catch(() => undefined),
  }
}
