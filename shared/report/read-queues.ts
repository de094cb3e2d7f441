import type { HeldEvidence } from '../queue/job.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { JobState, JobView, QueueView } from './views.ts'

/** The calls of `Queues` a report is made of: they read only. */
export type ReadableQueues = Pick<Queues, 'names' | 'counts' | 'list' | 'heldByQueue' | 'jobsOf' | 'oldestAgeMs'> & {
  readonly backOff: Pick<Queues['backOff'], 'pauses'>
}

/** Held jobs looked at to tell how many belong to each queue. */
const mostHeld = 2_000

/** All queues with their numbers; held messages count for the queue they came from. */
export async function readQueues(queues: ReadableQueues): Promise<readonly QueueView[]> {
  const names = workQueues(queues)
  const [counts, held, ages] = await Promise.all([
    queues.counts(),
    queues.heldByQueue(mostHeld),
    Promise.all(names.map((name) => queues.oldestAgeMs(name))),
  ])
  const looked = [...held.values()].reduce((sum, count) => sum + count, 0)
  return names.map((name, index) => {
    const { waiting = 0, active = 0, delayed = 0, paused = false, limit } = counts.get(name) ?? {}
    const age = ages[index]
    return {
      name,
      paused,
      waiting,
      active,
      delayed,
      held: held.get(name) ?? 0,
      heldAtLeast: looked === mostHeld,
      ...(waiting === 0 || age === undefined ? {} : { oldestAgeMs: age }),
      ...(limit === undefined ? {} : { limit }),
    }
  })
}

/** Jobs `start` to `start + limit - 1` of each of the states. */
export async function readJobs(
  queues: ReadableQueues,
  queue: string,
  states: readonly JobState[],
  page: { readonly start: number; readonly limit: number },
): Promise<readonly JobView[]> {
  const { start, limit } = page
  const own = states.filter((state) => state !== 'held')
  const [jobs, held] = await Promise.all([
    own.length === 0 ? [] : queues.list(queue, own, start, start + limit - 1),
    states.includes('held') ? heldOf(queues, queue) : [],
  ])
  return [...held.slice(start, start + limit), ...jobs.map(jobView)]
}

/** Held messages of all queues, at most `limit` behind the first `start`. */
export async function readHeld(queues: ReadableQueues, limit: number, start = 0): Promise<readonly JobView[]> {
  return (await queues.list(heldQueue, ['waiting'], start, start + limit - 1)).map(jobView)
}

/** Jobs of one message, those of the last hour that are done included. */
export async function readJobsOf(queues: ReadableQueues, id: string): Promise<readonly JobView[]> {
  return (await queues.jobsOf(id)).map(jobView)
}

/** Without the queue that keeps held jobs, which belong to the queues they came from. */
export function workQueues(queues: Pick<Queues, 'names'>): readonly string[] {
  return queues.names.filter((name) => name !== heldQueue)
}

async function heldOf(queues: ReadableQueues, queue: string): Promise<readonly JobView[]> {
  const held = await queues.list(heldQueue, ['waiting'], 0, mostHeld - 1)
  return held.map(jobView).filter((job) => job.queue === queue)
}

function jobView(job: JobSummary): JobView {
  const { data } = job
  const { held } = data
  return {
    queue: held?.queue ?? job.queue,
    jobId: job.jobId,
    id: data.id,
    state: held !== undefined || job.queue === heldQueue ? 'held' : stateOf(job.state),
    receivedAt: data.receivedAt,
    sizeBytes: data.at.sizeBytes,
    from: data.from,
    to: data.to,
    rcpt: data.rcpt,
    tags: data.tags,
    path: data.path,
    edits: data.edits,
    attempts: job.attempts,
    ...(job.startedAt === undefined ? {} : { startedAt: job.startedAt }),
    ...(job.nextAt === undefined ? {} : { nextAt: job.nextAt }),
    ...(job.lastReply === undefined ? {} : { lastReply: job.lastReply }),
    ...(data.action === undefined ? {} : { action: data.action }),
    ...(data.destination === undefined ? {} : { destination: data.destination }),
    ...(data.lane === undefined ? {} : { lane: data.lane }),
    ...(held === undefined ? (job.reason === undefined ? {} : { reason: job.reason }) : heldView(held)),
  }
}

function heldView({ reason, at, quarantine }: HeldEvidence): Pick<JobView, 'reason' | 'heldAt' | 'quarantine'> {
  return { reason, heldAt: at, ...(quarantine === undefined ? {} : { quarantine }) }
}

function stateOf(state: JobSummary['state']): JobView['state'] {
  return state === 'completed' ? 'done' : state
}
