import { nextHost } from '../mail/next-host.ts'
import { classifyReply } from '../mail/reply-class.ts'
import type { ReplyClass } from '../mail/reply-class.ts'
import { isPositive, parseReplyLine } from '../mail/reply.ts'
import { readJobs, workQueues } from './read-queues.ts'
import type { ReadableQueues } from './read-queues.ts'
import type { JobView } from './views.ts'

/** Where mail goes out to, and how it gets on there: a domain or a smarthost. */
export interface DestinationView {
  readonly name: string
  /** The lane it shares with domains that have the same MX; absent when it has one for itself, or nothing had to wait. */
  readonly lane?: string
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  /** When the oldest message for it was accepted. */
  readonly oldestAt: number
  /** Of those that are delayed, the first. */
  readonly nextAt?: number
  /** Of the message that was tried most often. */
  readonly lastReply?: string
  /** What that is about; absent when nothing was tried yet. */
  readonly replyClass?: ReplyClass
  readonly attempts: number
  /** It asked for less, or could not be reached: no relay process tries it for so long. */
  readonly aloneForMs?: number
}

export interface Destinations {
  /** Those with the most delayed messages first. */
  readonly destinations: readonly DestinationView[]
  /** There are more messages than were looked at. */
  readonly cut: boolean
}

const states = ['active', 'delayed', 'waiting'] as const

/** Destinations of the messages in the queue `relay`; of each state the first `limit` jobs are looked at. */
export async function readDestinations(queues: ReadableQueues, limit: number): Promise<Destinations> {
  if (!workQueues(queues).includes('relay')) return { destinations: [], cut: false }
  const [jobs, pauses] = await Promise.all([
    readJobs(queues, 'relay', states, { start: 0, limit }),
    queues.backOff.pauses(),
  ])
  const cut = states.some((state) => jobs.filter((job) => job.state === state).length >= limit)
  return { destinations: destinationsOf(jobs, pauses), cut }
}

/** Jobs that have no destination yet count for none. */
export function destinationsOf(
  jobs: readonly JobView[],
  pauses: ReadonlyMap<string, number> = new Map(),
): readonly DestinationView[] {
  const byName = new Map<string, JobView[]>()
  for (const job of jobs) {
    const name = job.destination
    if (name === undefined) continue
    const known = byName.get(name)
    if (known === undefined) byName.set(name, [job])
    else known.push(job)
  }
  return [...byName]
    .map(([name, own]) => viewOf(name, own, pauses))
    .toSorted((one, other) => other.delayed - one.delayed || one.oldestAt - other.oldestAt)
}

function viewOf(name: string, jobs: readonly JobView[], pauses: ReadonlyMap<string, number>): DestinationView {
  const itself = nextHost(name)
  const lane = jobs.find((job) => job.lane !== undefined)?.lane ?? itself
  const aloneForMs = pauses.get(lane)
  const count = (state: JobView['state']): number => jobs.filter((job) => job.state === state).length
  const next = jobs.flatMap(({ nextAt }) => nextAt ?? [])
  const tried = jobs.filter(({ lastReply }) => lastReply !== undefined)
  const most = tried.toSorted((one, other) => other.attempts - one.attempts)[0]
  return {
    name,
    ...(lane === itself ? {} : { lane }),
    waiting: count('waiting'),
    active: count('active'),
    delayed: count('delayed'),
    oldestAt: Math.min(...jobs.map((job) => job.receivedAt)),
    ...(next.length === 0 ? {} : { nextAt: Math.min(...next) }),
    ...(most === undefined ? {} : saidTo(most)),
    attempts: Math.max(...jobs.map((job) => job.attempts)),
    ...(aloneForMs === undefined ? {} : { aloneForMs }),
  }
}

function saidTo({ attempts, lastReply }: JobView): Pick<DestinationView, 'lastReply' | 'replyClass'> {
  if (lastReply === undefined) return {}
  const reply = attempts > 0 ? parseReplyLine(lastReply) : undefined
  return reply === undefined || isPositive(reply) ? { lastReply } : { lastReply, replyClass: classifyReply(reply) }
}
