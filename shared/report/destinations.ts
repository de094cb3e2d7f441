import { totalOf } from '../destinations/read-book.ts'
import type { DestinationHistory, DestinationHour } from '../destinations/known.ts'
import { nextHost } from '../mail/next-host.ts'
import { classifyReply } from '../mail/reply-class.ts'
import type { ReplyClass } from '../mail/reply-class.ts'
import { isPositive, parseReplyLine } from '../mail/reply.ts'
import { readJobs, workQueues } from './read-queues.ts'
import type { ReadableQueues } from './read-queues.ts'
import type { JobView } from './views.ts'

/** Where mail goes out to, and how it gets on there: a domain or a smarthost. Messages are those that are in the queue now. */
export interface DestinationView {
  readonly name: string
  /** What became of attempts in the last 24 hours; absent: none was made. */
  readonly day?: Omit<DestinationHour, 'at'>
  /** How it took mail in that time. */
  readonly history?: DestinationHistory
  /** The lane it shares with domains that have the same MX; absent when it has one for itself, or nothing had to wait. */
  readonly lane?: string
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  /** When the oldest message for it was accepted; absent: none waits. */
  readonly oldestAt?: number
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
  /** Those with the most delayed messages first; behind those that mail waits for the others of the last 24 hours, the latest first. */
  readonly destinations: readonly DestinationView[]
  /** There are more messages than were looked at. */
  readonly cut: boolean
}

const states = ['active', 'delayed', 'waiting'] as const

export interface DestinationQuestion {
  /** Of the last 24 hours. */
  readonly book: ReadonlyMap<string, DestinationHistory>
  /** Of each state so many jobs are looked at, and as many destinations are shown. */
  readonly limit: number
}

/** Destinations of the messages in the queue `relay`, and those that mail went to in the last 24 hours. */
export async function readDestinations(
  queues: ReadableQueues,
  { book, limit }: DestinationQuestion,
): Promise<Destinations> {
  if (!workQueues(queues).includes('relay')) return { destinations: withHistory([], book), cut: false }
  const [jobs, pauses] = await Promise.all([
    readJobs(queues, 'relay', states, { start: 0, limit }),
    queues.backOff.pauses(),
  ])
  const cut = states.some((state) => jobs.filter((job) => job.state === state).length >= limit)
  return { destinations: withHistory(destinationsOf(jobs, pauses), book, pauses).slice(0, limit), cut }
}

/** Those without mail now stand behind those with it. */
export function withHistory(
  waiting: readonly DestinationView[],
  book: ReadonlyMap<string, DestinationHistory>,
  pauses: ReadonlyMap<string, number> = new Map(),
): readonly DestinationView[] {
  const known = new Set(waiting.map(({ name }) => nextHost(name)))
  const others = [...book.values()]
    .filter(({ name }) => !known.has(name))
    .toSorted((one, other) => other.lastAt - one.lastAt)
    .map((history): DestinationView => {
      const aloneForMs = pauses.get(history.name)
      const none = { name: history.name, waiting: 0, active: 0, delayed: 0, attempts: 0 }
      return { ...none, ...pastOf(history), ...(aloneForMs === undefined ? {} : { aloneForMs }) }
    })
  return [...waiting.map((view) => ({ ...view, ...pastOf(book.get(nextHost(view.name))) })), ...others]
}

function pastOf(history: DestinationHistory | undefined): Pick<DestinationView, 'day' | 'history'> {
  if (history === undefined) return {}
  return history.hours.length === 0 ? { history } : { day: totalOf(history), history }
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
    .toSorted((one, other) => other.delayed - one.delayed || (one.oldestAt ?? 0) - (other.oldestAt ?? 0))
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
