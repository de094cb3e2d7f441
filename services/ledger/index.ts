import { join } from 'node:path'

import { trimJournal } from '../../shared/journal.ts'
import { sweep } from '../../shared/pipeline/sweep.ts'
import type { SweepParts } from '../../shared/pipeline/sweep.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { collectGarbage } from '../../shared/spool/garbage.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'

const wipeCheckMs = 2_000
const orphanCheckMs = 30_000
const garbageMs = 30_000
/** Jobs a worker holds while Redis is emptied get this long to log their outcome before their messages are queued again. */
const graceAfterWipeMs = 3_000
/** A message this young belongs to the process that accepted it. */
const minAgeMs = 15_000
/** Settled messages stay on disk this long: a job that runs twice then still finds its record. */
const keepSettledMs = 60_000
const journalDays = 30
const dayMs = 86_400_000

/**
 * Keeps the promise that nothing accepted is lost: watches the spool's log against the queues, gives messages without a job their
 * jobs again (a crash between disk and queue, an emptied Redis), and frees what is settled. One per data folder.
 */
const ledger: Service = { name: 'ledger', start: startLedger }
export default ledger

async function startLedger(context: ServiceContext): Promise<RunningService> {
  const { queues, spool, pipeline, events, clock, log } = context
  const index = await LiveIndex.open(spool.path, {
    clock,
    onDamage: (damage) => log.error({ damage }, 'spool segment is damaged'),
  })
  const parts: SweepParts = { index, queues, spool, pipeline, events, clock, log }
  const stop = new AbortController()
  const running = new Set<Promise<void>>()
  const timers: NodeJS.Timeout[] = []
  const troubles = new Map<string, string>()

  /** Runs a duty again and again, never twice at once; trouble is logged once and shown in the health. */
  function every(name: string, periodMs: number, duty: () => Promise<void>): void {
    let busy = false
    const run = (): void => {
      if (busy || stop.signal.aborted) return
      busy = true
      const work = duty()
        .then(() => void troubles.delete(name))
        .catch((error: unknown) => {
          if (!troubles.has(name)) log.warn({ duty: name, err: error }, 'ledger duty failed; tried again')
          troubles.set(name, `${name}: ${(error as Error).message}`)
        })
        .finally(() => {
          busy = false
          running.delete(work)
        })
      running.add(work)
    }
    timers.push(setInterval(run, periodMs))
    run()
  }

  let marked = false

  /** Redis may be away when we start: it is marked as ours when it first answers. */
  async function requeueAfterWipe(): Promise<void> {
    if (!marked) {
      await queues.ensureEpoch()
      marked = true
      return
    }
    if (!(await queues.wiped())) return
    log.warn({}, 'redis was emptied: queues are rebuilt from the spool')
    await new Promise((resolve) => setTimeout(resolve, graceAfterWipeMs))
    await report('redis was emptied', 0)
    await queues.ensureEpoch()
  }

  async function report(reason: string, youngestMs: number): Promise<void> {
    const result = await sweep(parts, { minAgeMs: youngestMs, reason, signal: stop.signal })
    if (result.requeued + result.failed > 0) log.warn({ reason, ...result }, 'messages without a job were queued again')
  }

  every('wipe check', wipeCheckMs, requeueAfterWipe)
  every('orphan check', orphanCheckMs, () => report('no job', minAgeMs))
  every('garbage collection', garbageMs, async () => {
    const { troubles: found } = await collectGarbage(index, { olderThanMs: keepSettledMs, clock })
    for (const trouble of found) log.warn({ trouble }, 'spool could not be cleaned up here')
    await trimJournal(join(context.dataFolder, 'events'), clock.now() - journalDays * dayMs)
  })

  return {
    health: async () => [...troubles.values()],
    async close() {
      stop.abort()
      for (const timer of timers) clearInterval(timer)
      await Promise.all(running)
      await index.close()
    },
  }
}
