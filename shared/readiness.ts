import { withTimeLimit } from './deadline.ts'
import type { Queues } from './queue/queues.ts'
import type { OpenedSpool } from './spool/volume.ts'

/** What a process stands on. */
export interface Foundations {
  readonly spool: Pick<OpenedSpool, 'check'>
  readonly queues: Pick<Queues, 'connected'>
}

const spoolLimitMs = 2_000

/**
 * What a service lacks to do its work now, one sentence each; empty: it is ready. Where mail comes in Redis is not needed: what it cannot
 * take waits on disk. A full spool is told to clients at DATA, and mail goes out of it meanwhile.
 */
export async function lacksOf(service: string, { spool, queues }: Foundations): Promise<readonly string[]> {
  const lacks: string[] = []
  if (service !== 'inbound' && !queues.connected) lacks.push('Redis does not answer')
  try {
    await withTimeLimit(spoolLimitMs, 'it does not answer', spool.check())
  } catch (error) {
    lacks.push(`the spool cannot be written to: ${(error as Error).message}`)
  }
  return lacks
}
