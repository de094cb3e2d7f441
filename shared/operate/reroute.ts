import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import { takeUp } from '../pipeline/take-up.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'
import type { ManyDone } from './many.ts'
import { describeOrder } from './relay-order.ts'

export interface RerouteParts {
  readonly queues: Pick<Queues, 'change'>
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'rerouted'>
  readonly clock: Clock
}

const atOnce = 100

/**
 * Sends what these jobs carry to the order's host or action, from their next start on, which is now for all that is not held; without an order
 * where the rules say. `left` are those a worker has: when its attempt does not end them, the ledger makes them follow. The log has the decision
 * before a job changes, so that it holds after a crash and after the queues were rebuilt.
 */
export async function rerouteJobs(
  parts: RerouteParts,
  jobs: readonly JobSummary[],
  order: RelayOrder | undefined,
  by: string,
): Promise<ManyDone> {
  let done = 0
  for (let start = 0; start < jobs.length; start += atOnce) {
    const batch = jobs.slice(start, start + atOnce)
    const changed = await Promise.all(batch.map((job) => rerouteJob(parts, job, order, by)))
    done += changed.filter(Boolean).length
  }
  return { done, left: jobs.length - done }
}

export async function rerouteJob(
  { queues, spool, events, clock }: RerouteParts,
  job: JobSummary,
  order: RelayOrder | undefined,
  by: string,
): Promise<boolean> {
  const { queue, jobId, data } = job
  // What starts after the log has it, and before the job is woken, follows already.
  await queues.change(queue, jobId, (waiting) => ({ ...waiting, recheck: true }))
  const decision = { kind: 'rerouted', stage: data.held?.queue ?? queue, at: clock.now(), reason: `by ${by}` } as const
  const chosen = order === undefined ? {} : { order }
  await spool.settle(
    data.rcpt.map((recipient) => ({ id: data.id, recipient, ...decision, ...chosen }) satisfies OutcomeRecord),
  )
  const to = order === undefined ? undefined : describeOrder(order)
  events.rerouted({ id: data.id, rcpt: data.rcpt, recipients: data.to, to, by })
  return takeUp(queues, job, clock.now())
}

/** What is delivered on this host is not relayed. */
export function isRelayed({ queue, data }: JobSummary): boolean {
  return (data.held?.queue ?? queue) !== 'deliver'
}
