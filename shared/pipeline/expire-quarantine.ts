import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import { heldQueue } from '../queue/queues.ts'
import { formatDuration } from '../report/units.ts'
import { isFinal } from '../spool/spool.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'

export interface ExpiryParts {
  readonly queues: Pick<Queues, 'list' | 'remove'>
  readonly spool: Pick<Spool, 'settle' | 'outcomesOf'>
  readonly events: Pick<Events, 'discarded'>
  readonly clock: Clock
}

const atOnce = 500

/**
 * Discards what filters have kept back for longer than `keepMs`; mail held for another reason stays. The outcome is on disk
 * before the job goes, so that a crash in between brings nothing back. Returns how many messages went.
 */
export async function expireQuarantine(parts: ExpiryParts, keepMs: number): Promise<number> {
  const keptBefore = parts.clock.now() - keepMs
  const expired: JobSummary[] = []
  for (let start = 0; ; start += atOnce) {
    const page = await parts.queues.list(heldQueue, ['waiting'], start, start + atOnce - 1)
    for (const job of page) {
      const { held } = job.data
      if (held?.quarantine !== undefined && held.at <= keptBefore) expired.push(job)
    }
    if (page.length < atOnce) break
  }
  for (const job of expired) await expire(parts, job, keepMs)
  return expired.length
}

async function expire({ queues, spool, events, clock }: ExpiryParts, job: JobSummary, keepMs: number): Promise<void> {
  const { id, rcpt, held } = job.data
  const stage = held?.queue ?? heldQueue
  const reason = `quarantine: ${held?.reason ?? 'held'}, kept for ${formatDuration(keepMs)}`
  const known = (await spool.outcomesOf([id])).get(id) ?? []
  const final = new Set(known.filter(isFinal).map(({ recipient }) => recipient))
  const pending = rcpt.filter((recipient) => !final.has(recipient))
  const at = clock.now()
  await spool.settle(
    pending.map((recipient) => ({ id, recipient, kind: 'discarded', stage, at, reason }) satisfies OutcomeRecord),
  )
  if (pending.length > 0) events.discarded({ id, rcpt: pending, stage, reason })
  await queues.remove(heldQueue, job.jobId)
}
