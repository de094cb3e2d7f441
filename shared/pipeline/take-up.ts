import type { Clock } from '../clock.ts'
import type { MessageId } from '../mail/message-id.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobState, JobSummary, Queues } from '../queue/queues.ts'
import { lastDecisionAt } from '../spool/decisions.ts'
import type { LiveIndex } from '../spool/live-index.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'

export interface TakeUpParts {
  readonly index: Pick<LiveIndex, 'decided' | 'refresh'>
  readonly queues: Pick<Queues, 'names' | 'list' | 'change'>
  readonly spool: Pick<Spool, 'outcomesOf'>
  readonly clock: Clock
}

/**
 * Makes a job follow the decisions in the outcome log from its next start on, which is now when it is delayed; what is held stays held.
 * False when a worker has it.
 */
export function takeUp(
  queues: Pick<Queues, 'change'>,
  { queue, jobId, data }: Pick<JobSummary, 'queue' | 'jobId' | 'data'>,
  nowAt: number,
): Promise<boolean> {
  const isDue = queue !== heldQueue && data.receivedAt <= nowAt
  return queues.change(queue, jobId, (job) => ({ ...job, recheck: true }), isDue)
}

/**
 * Completes what operators decided, as the log has it, for jobs that do not follow it yet: a worker had them at that moment, or the
 * operator's command was killed before it came to them.
 * Nobody else may refresh the index meanwhile.
 * @param known the last decision about a message that all its jobs are known to follow; written on here
 * @returns jobs
 */
export async function takeUpDecisions(
  parts: TakeUpParts,
  known: Map<MessageId, number>,
  minAgeMs: number,
): Promise<number> {
  const { index, queues, spool, clock } = parts
  await index.refresh()
  const decided = new Map([...index.decided()].map(({ id, decidedAt = 0 }) => [id, decidedAt]))
  for (const id of known.keys()) if (!decided.has(id)) known.delete(id)
  const open = [...decided].filter(([id, at]) => at !== known.get(id) && at <= clock.now() - minAgeMs)
  if (open.length === 0) return 0
  const outcomes = await spool.outcomesOf(open.map(([id]) => id))
  const [late, lateIds] = [await jobsBehind(queues, outcomes, clock.now()), new Set<MessageId>()]
  let done = 0
  for (const job of late) {
    lateIds.add(job.data.id)
    if (await takeUp(queues, job, clock.now())) done += 1
  }
  for (const [id, at] of open) if (!lateIds.has(id)) known.set(id, at)
  return done
}

const states: readonly JobState[] = ['waiting', 'delayed', 'active']
const pageJobs = 500

async function jobsBehind(
  queues: TakeUpParts['queues'],
  outcomes: ReadonlyMap<MessageId, readonly OutcomeRecord[]>,
  nowAt: number,
): Promise<readonly JobSummary[]> {
  const found = new Map<string, JobSummary>()
  for (const queue of queues.names) {
    for (const state of states) {
      for (let start = 0; ; start += pageJobs) {
        const page = await queues.list(queue, [state], start, start + pageJobs - 1)
        for (const job of page)
          if (!follows(job, outcomes.get(job.data.id) ?? [], nowAt)) found.set(`${queue} ${job.jobId}`, job)
        if (page.length < pageJobs) break
      }
    }
  }
  return [...found.values()]
}

/** One that reads the log at its next start follows it, when nothing but its turn or an operator is to come before that. */
function follows({ queue, state, data }: JobSummary, outcomes: readonly OutcomeRecord[], nowAt: number): boolean {
  const decidedAt = lastDecisionAt(outcomes, data.rcpt)
  if (decidedAt === undefined || decidedAt <= (data.decidedAt ?? 0)) return true
  if (data.recheck !== true) return false
  return queue === heldQueue || state === 'waiting' || (state === 'delayed' && data.receivedAt > nowAt)
}
