import { nextHost } from '../mail/next-host.ts'
import type { Queues } from '../queue/queues.ts'
import { readHeld, readJobs, workQueues } from './read-queues.ts'
import type { ReadableQueues } from './read-queues.ts'
import type { JobState, JobView } from './views.ts'

/** Whose messages wait in the queues. */
export interface QueueShares {
  /** Those with the most messages first; `tag` is absent for messages that carry none. */
  readonly tags: readonly TagShare[]
  /** Delayed messages that wait for a slot of their destination, or for it to come back, by queue. */
  readonly parked: ReadonlyMap<string, number>
  /** There are more messages than were looked at. */
  readonly cut: boolean
}

export type TagShare = { readonly tag?: string } & Readonly<Record<JobState, number>>

export type SharedQueues = ReadableQueues & { readonly lanes: Pick<Queues['lanes'], 'parked'> }

const states = ['active', 'waiting', 'delayed'] as const

/** Of each queue and state the first `limit` messages are looked at. */
export async function readShares(queues: SharedQueues, limit: number): Promise<QueueShares> {
  const pages = await Promise.all([
    readHeld(queues, limit),
    ...workQueues(queues).flatMap((name) =>
      states.map((state) => readJobs(queues, name, [state], { start: 0, limit })),
    ),
  ])
  const jobs = pages.flat()
  return {
    tags: tagsOf(jobs),
    parked: await parkedBy(queues, jobs),
    cut: pages.some((page) => page.length >= limit),
  }
}

/** A message counts for each of its tags. */
export function tagsOf(jobs: readonly JobView[]): readonly TagShare[] {
  const byTag = new Map<string | undefined, Record<JobState, number>>()
  for (const { tags, state } of jobs) {
    if (state === 'done') continue
    for (const tag of tags.length === 0 ? [undefined] : tags) {
      const counts = byTag.get(tag) ?? { waiting: 0, active: 0, delayed: 0, held: 0 }
      counts[state] += 1
      byTag.set(tag, counts)
    }
  }
  const all = ({ waiting, active, delayed, held }: TagShare): number => waiting + active + delayed + held
  return [...byTag]
    .map(([tag, counts]) => ({ ...(tag === undefined ? {} : { tag }), ...counts }))
    .toSorted((one, other) => all(other) - all(one))
}

/** In the lanes that delayed messages belong to. */
async function parkedBy(queues: SharedQueues, jobs: readonly JobView[]): Promise<ReadonlyMap<string, number>> {
  const lanes = new Map<string, Set<string>>()
  for (const { queue, state, lane, destination } of jobs) {
    const name = lane ?? (destination === undefined ? undefined : nextHost(destination))
    if (state !== 'delayed' || name === undefined) continue
    lanes.set(queue, (lanes.get(queue) ?? new Set()).add(`relay ${name}`).add(`back-off ${name}`))
  }
  const counts = await Promise.all(
    [...lanes].map(async ([queue, names]) => [queue, await queues.lanes.parked([...names])] as const),
  )
  return new Map(counts)
}
