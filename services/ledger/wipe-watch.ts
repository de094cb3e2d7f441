import type { Queues } from '../../shared/queue/queues.ts'
import type { Leader } from './leader.ts'

/**
 * Looks whether Redis was emptied, each time it is called; the ledger that leads does what is to be done then. Every ledger knows the mark: an
 * emptied Redis has forgotten who led, too, and who leads next must see it.
 */
export function openWipeWatch(
  queues: Pick<Queues, 'ensureEpoch' | 'epoch' | 'wiped'>,
  leader: Pick<Leader, 'leads'>,
  requeue: () => Promise<void>,
): () => Promise<void> {
  let isMarked = false
  return async () => {
    // Redis may be away when we start: it is marked as ours when it first answers.
    if (!isMarked) {
      await queues.ensureEpoch()
      isMarked = true
      return
    }
    if (!(await queues.wiped())) return
    if (await leader.leads()) await requeue()
    else if ((await queues.epoch()) === undefined) return
    await queues.ensureEpoch()
  }
}
