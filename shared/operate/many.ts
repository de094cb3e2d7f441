import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import { domainOf } from '../mail/address.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import { nextHost } from '../mail/next-host.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobState, JobSummary, Queues } from '../queue/queues.ts'
import { workQueues } from '../report/read-queues.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'
import { OperationError } from './operation-error.ts'
import { isRelayed, rerouteJob } from './reroute.ts'
import type { RerouteParts } from './reroute.ts'

/** What is done with many messages at once. */
export type ManyAction = 'schedule' | 'hold' | 'release' | 'expire' | 'remove'

/** Whose messages: those on their way to a domain or smarthost, or those that carry a tag. */
export type Selection =
  | { readonly kind: 'destination'; readonly destination: string }
  | { readonly kind: 'tag'; readonly tag: string }

/** Jobs: a message has one for each of its destinations. */
export interface ManyDone {
  readonly done: number
  /** A worker has them, or they were gone before their turn came. */
  readonly left: number
}

export interface ManyCount {
  readonly jobs: number
  readonly messages: number
}

export interface JobOperationParts {
  readonly queues: Queues
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'scheduled' | 'released' | 'held' | 'returned' | 'removed'>
  readonly clock: Clock
}

/** How far it is: jobs that had their turn, of all that were chosen. */
export type TellProgress = (turns: number, total: number) => void

/**
 * Does it to each job of the selection, some at once; what comes in meanwhile may be left out. Of a job that waits for its turn only the id is
 * in memory. What a filter keeps back is neither released nor returned this way, but one by one.
 * @throws what the first that fails does, when those of the same moment have ended: no other has its turn then
 */
export async function doToMany(
  parts: JobOperationParts,
  action: ManyAction,
  selection: Selection,
  by: string,
  tell?: TellProgress,
): Promise<ManyDone> {
  return doToEach({ queues: parts.queues, action, selection, tell }, (job) => jobActions[action](parts, job, by))
}

/** The same for what is relayed, or may be after the queues it is in; what a worker has counts as `left`, and follows later. */
export async function rerouteMany(
  parts: JobOperationParts & RerouteParts,
  order: RelayOrder | undefined,
  selection: Selection,
  by: string,
  tell?: TellProgress,
): Promise<ManyDone> {
  const { queues } = parts
  return doToEach({ queues, action: 'reroute', selection, tell }, (job) => rerouteJob(parts, job, order, by))
}

/** Of the jobs that each would choose now, by one look through the queues. */
export async function countMany(
  queues: Queues,
  selection: Selection,
): Promise<Readonly<Record<ManyAction | 'reroute', ManyCount>>> {
  const counters = new Map(everyAction.map((action) => [action, counterOf(queues, action)]))
  for await (const job of jobsIn(queues, placesOf(queues, 'reroute')))
    if (isOf(job, selection)) for (const counter of counters.values()) counter.see(job)
  const count = (action: ManyAction | 'reroute'): ManyCount =>
    counters.get(action)?.result() ?? { jobs: 0, messages: 0 }
  return {
    schedule: count('schedule'),
    hold: count('hold'),
    release: count('release'),
    expire: count('expire'),
    remove: count('remove'),
    reroute: count('reroute'),
  }
}

/** Each to one job; false: a worker has it, or it is gone. */
export const jobActions: Readonly<
  Record<ManyAction, (parts: JobOperationParts, job: JobSummary, by: string) => Promise<boolean>>
> = {
  async schedule({ queues, events }, { queue, jobId, data }, by) {
    if ((await queues.promote(queue, jobId)) === 0) return false
    events.scheduled({ id: data.id, by })
    return true
  },
  hold: holdJob,
  release: releaseJob,
  expire: returnJob,
  remove: removeJob,
}

/** The outcome comes first: a crash in between leaves a job that reads in the log, at its next start, that it is held. */
export async function holdJob(parts: JobOperationParts, job: JobSummary, by: string): Promise<boolean> {
  const { queues, spool, events, clock } = parts
  const { queue, jobId, data } = job
  const reason = `held by ${by}`
  const outcomes = (kind: 'held' | 'released'): readonly OutcomeRecord[] =>
    data.rcpt.map((recipient) => ({ id: data.id, recipient, kind, stage: queue, at: clock.now(), reason }))
  // So that it stays in its place when the process is killed before it is held.
  await queues.change(queue, jobId, (waiting) => ({ ...waiting, recheck: true }))
  await spool.settle(outcomes('held'))
  if (await queues.hold(queue, jobId, reason)) {
    events.held({ id: data.id, rcpt: data.rcpt, stage: queue, reason })
    return true
  }
  await spool.settle(outcomes('released'))
  return false
}

/** Into its queue, or on past the filter that kept it back. False: it is not held any more. */
export async function releaseJob(parts: JobOperationParts, { jobId, data }: JobSummary, by: string): Promise<boolean> {
  const { queues, spool, events, clock } = parts
  const stage = data.held?.queue ?? heldQueue
  const kind = data.held?.quarantine
  const quarantine = kind === undefined ? {} : { quarantine: kind }
  const at = clock.now()
  await spool.settle(
    data.rcpt.map(
      (recipient) => ({ id: data.id, recipient, kind: 'released', stage, at, ...quarantine }) satisfies OutcomeRecord,
    ),
  )
  if (!(await queues.release(jobId))) return false
  events.released({ id: data.id, rcpt: data.rcpt, stage, by })
  return true
}

/**
 * Its next start returns the message to its sender in place of an attempt. A crash in between leaves it held; a rebuild from the spool
 * forgets it, and the message is tried as before. False: a worker has it.
 * @throws OperationError when a filter keeps it back: its sender is most likely forged
 */
export async function returnJob(parts: JobOperationParts, job: JobSummary, by: string): Promise<boolean> {
  const { queues, spool, events, clock } = parts
  const { queue, jobId, data } = job
  if (isQuarantined(job))
    throw new OperationError(`a filter keeps message ${data.id} back: release or remove it, nothing is returned`)
  if (queue === heldQueue) {
    const stage = data.held?.queue ?? heldQueue
    const at = clock.now()
    await spool.settle(
      data.rcpt.map((recipient) => ({ id: data.id, recipient, kind: 'released', stage, at }) satisfies OutcomeRecord),
    )
  } else if (!(await queues.hold(queue, jobId, `returned by ${by}`))) return false
  if (!(await queues.release(jobId, (waiting) => ({ ...waiting, returned: true })))) return false
  events.returned({ id: data.id, by })
  return true
}

/** Drops what it carries for good. A job that reads the log before it is gone delivers nothing. False: a worker has it. */
async function removeJob(parts: JobOperationParts, job: JobSummary, by: string): Promise<boolean> {
  const { queues, spool, events, clock } = parts
  const { queue, jobId, data } = job
  if (!(await queues.change(queue, jobId, (waiting) => ({ ...waiting, recheck: true })))) return false
  const { id, rcpt } = data
  const outcome = {
    id,
    kind: 'removed',
    stage: data.held?.queue ?? queue,
    at: clock.now(),
    reason: `removed by ${by}`,
  } as const
  await spool.settle(rcpt.map((recipient) => ({ ...outcome, recipient }) satisfies OutcomeRecord))
  events.removed({ id, rcpt, by })
  return queues.remove(queue, jobId)
}

const pageJobs = 500
const mostLooks = 4
/** Each is a line of the spool's log, and they share its writes. */
const atOnce = 100

interface Chosen {
  readonly queues: Queues
  readonly action: ManyAction | 'reroute'
  readonly selection: Selection
  readonly tell: TellProgress | undefined
}

/** Chooses all before the first has its turn: what is done moves jobs, also to where they would be chosen again. */
async function doToEach(
  { queues, action, selection, tell }: Chosen,
  act: (job: JobSummary) => Promise<boolean>,
): Promise<ManyDone> {
  const mayHave = (job: JobSummary): boolean => isOf(job, selection) && mayChoose(job, action)
  const names = await chooseJobs(queues, action, mayHave)
  return takeTurns({ queues, names, mayHave, tell }, act)
}

/** `queue jobId` of the jobs that the action may be done to; an id begins with that of its message. */
export async function chooseJobs(
  queues: Queues,
  action: ManyAction | 'reroute',
  mayHave: (job: JobSummary) => boolean,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  // Jobs move on while their queues are gone through, and those behind them take their places: until a look finds no other.
  for (let [looks, before] = [0, -1]; looks < mostLooks && names.size > before; looks += 1) {
    before = names.size
    for await (const job of jobsIn(queues, placesOf(queues, action))) if (mayHave(job)) names.add(nameOf(job))
  }
  return names
}

export interface Turns {
  readonly queues: Pick<Queues, 'job'>
  readonly names: ReadonlySet<string>
  readonly mayHave: (job: JobSummary) => boolean
  readonly tell?: TellProgress | undefined
}

/** Each job in its turn, some at once. @throws what the first that fails does: no other has its turn then */
export async function takeTurns(
  { queues, names, mayHave, tell }: Turns,
  act: (job: JobSummary) => Promise<boolean>,
): Promise<ManyDone> {
  let [done, turns] = [0, 0]
  const turn = async (name: string): Promise<void> => {
    const [queue = '', jobId = ''] = name.split(' ')
    const job = await queues.job(queue, jobId)
    if (job !== undefined && job.state !== 'completed' && mayHave(job) && (await act(job))) done += 1
    turns += 1
    tell?.(turns, names.size)
  }
  const left = names.values()
  let isOver = false
  const takeSome = async (): Promise<void> => {
    for (const name of left) {
      if (isOver) return
      await turn(name).catch((error: unknown) => {
        isOver = true
        throw error
      })
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, takeSome))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return { done, left: names.size - done }
}

/** One that moves on meanwhile may come twice, or not at all. */
async function* jobsIn(queues: Queues, places: readonly Place[]): AsyncGenerator<JobSummary> {
  for (const { queue, state } of places) {
    for (let start = 0; ; start += pageJobs) {
      const page = await queues.list(queue, [state], start, start + pageJobs - 1)
      yield* page
      if (page.length < pageJobs) break
    }
  }
}

/** Neither has a blank. */
function nameOf({ queue, jobId }: JobSummary): string {
  return `${queue} ${jobId}`
}

const everyAction = ['schedule', 'hold', 'release', 'expire', 'remove', 'reroute'] as const

function counterOf(
  queues: Queues,
  action: ManyAction | 'reroute',
): { see(job: JobSummary): void; result(): ManyCount } {
  const places = new Set(placesOf(queues, action).map(({ queue, state }) => `${queue} ${state}`))
  const [jobs, messages] = [new Set<string>(), new Set<string>()]
  return {
    see(job) {
      if (!places.has(`${job.queue} ${job.state}`) || !mayChoose(job, action)) return
      jobs.add(nameOf(job))
      messages.add(job.data.id)
    },
    result: () => ({ jobs: jobs.size, messages: messages.size }),
  }
}

function mayChoose(job: JobSummary, action: ManyAction | 'reroute'): boolean {
  if (action === 'reroute' && !isRelayed(job)) return false
  return action === 'hold' || !isQuarantined(job)
}

interface Place {
  readonly queue: string
  readonly state: JobState
}

/** Where jobs lie that something can be done to, in the order in which they move on. */
function placesOf(queues: Queues, action: ManyAction | 'reroute'): readonly Place[] {
  const work = workQueues(queues)
  const delayed = work.map((queue) => ({ queue, state: 'delayed' as const }))
  const waiting = work.map((queue) => ({ queue, state: 'waiting' as const }))
  const held = [{ queue: heldQueue, state: 'waiting' as const }]
  switch (action) {
    case 'schedule':
      return delayed
    case 'hold':
      return [...delayed, ...waiting]
    case 'release':
      return held
    case 'expire':
    case 'remove':
      return [...delayed, ...waiting, ...held]
    case 'reroute':
      return [...delayed, ...waiting, ...held, ...work.map((queue) => ({ queue, state: 'active' as const }))]
  }
}

/** A job for several domains belongs to none of them, but to the smarthost it goes to. */
function isOf({ data }: JobSummary, selection: Selection): boolean {
  switch (selection.kind) {
    case 'tag':
      return data.tags.some((tag) => tag === selection.tag)
    case 'destination': {
      const wanted = selection.destination.toLowerCase()
      const next = data.destination?.toLowerCase()
      if (next !== undefined && (next === wanted || nextHost(next) === wanted)) return true
      return data.to.every((mailbox) => domainOf(mailbox) === wanted)
    }
  }
}

export function isQuarantined({ data }: JobSummary): boolean {
  return data.held?.quarantine !== undefined
}
