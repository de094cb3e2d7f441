import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import { workedQueues } from '../heartbeat.ts'
import type { Mailbox } from '../mail/address.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { workQueues } from '../report/read-queues.ts'
import { countMany, doToMany, holdJob, rerouteMany, releaseJob, returnJob } from './many.ts'
import type { ManyAction, ManyCount, ManyDone, Selection, TellProgress } from './many.ts'
import { atWork, describeJob, jobsFor, openMessage, recipientNamed, splitJob, unfinishedJobs } from './message-jobs.ts'
import { OperationError } from './operation-error.ts'
import { blockFor } from './quarantine.ts'
import { describeLimit, limitQueue, readLimit } from './queue-limits.ts'
import type { GivenLimit } from './queue-limits.ts'
import { readdress } from './readdress.ts'
import type { Readdressing } from './readdress.ts'
import { readOrder } from './relay-order.ts'
import type { GivenOrder, OrderParts } from './relay-order.ts'
import { replay } from './replay.ts'
import type { ReplayDone, ReplayRequest } from './replay.ts'
import { isRelayed, rerouteJobs } from './reroute.ts'
import { tryReplay } from './try-replay.ts'
import type { TrialRequest, TrialStep } from './try-replay.ts'
import { describeLesson } from './spool-lessons.ts'
import type { SpoolLessons } from './spool-lessons.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'

/**
 * What an operator can change, for sluicectl and the dashboard alike. `by` tells the story who it was: `jane (sluicectl)`. With `recipient` it
 * is done to the copy of that address alone.
 */
export interface Operations {
  /** Tries the delayed messages of all queues now. @returns how many */
  scheduleAll(): Promise<number>
  scheduleQueue(queue: string): Promise<number>
  scheduleMessage(id: MessageId, by: string): Promise<number>
  /** Keeps a message in its queues until it is released. @returns the queues */
  hold(id: MessageId, by: string, recipient?: string): Promise<readonly string[]>
  /** Lets a held message go: into its queue, or on past the filter that kept it back. @returns the queues */
  release(id: MessageId, by: string, recipient?: string): Promise<readonly string[]>
  /** As `release`, and teaches the classifier that it is wanted. @returns what came of it, one sentence */
  releaseAsHam(id: MessageId, by: string): Promise<string>
  /** Refuses mail from its sender to its recipients from now on; the message itself stays. @returns one sentence */
  block(id: MessageId, by: string): Promise<string>
  /** Drops a message for good, unreported. @returns for how many recipients */
  remove(id: MessageId, by: string, recipient?: string): Promise<number>
  /**
   * Returns a message to its sender now, as when its time is over. @returns for how many recipients
   * @throws OperationError when a worker has it, or a filter keeps it back
   */
  expire(id: MessageId, by: string, recipient?: string): Promise<number>
  /**
   * Sends a message elsewhere than its rules do, until that is undone; queues before its relay stay on its way. @returns jobs
   * @throws OperationError when nothing of it is relayed
   */
  reroute(id: MessageId, given: GivenOrder, by: string, recipient?: string): Promise<ManyDone>
  /** @returns where the copy goes now */
  readdress(id: MessageId, change: Readdressing, by: string): Promise<Mailbox>
  /** Lets a message go again from a queue it passed. */
  replay(id: MessageId, request: ReplayRequest, by: string): Promise<ReplayDone>
  /** What the rules and stages in force would decide about it, beside what they did; nothing is delivered. */
  tryReplay(id: MessageId, request: TrialRequest): Promise<readonly TrialStep[]>
  many(action: ManyAction, selection: Selection, by: string, tell?: TellProgress): Promise<ManyDone>
  rerouteMany(given: GivenOrder, selection: Selection, by: string, tell?: TellProgress): Promise<ManyDone>
  /** What `many` and `rerouteMany` would be done to. */
  counts(selection: Selection): Promise<Readonly<Record<ManyAction | 'reroute', ManyCount>>>
  /** @throws OperationError when there is no such queue */
  setPaused(queue: string, paused: boolean): Promise<void>
  /** @returns the limit in force, a few words. @throws OperationError when it cannot be meant */
  limit(queue: string, given: GivenLimit, by: string): Promise<string>
}

export interface OperationParts extends OrderParts {
  readonly queues: Queues
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<
    Events,
    'scheduled' | 'removed' | 'released' | 'held' | 'returned' | 'rerouted' | 'readdressed' | 'replayed' | 'flush'
  >
  readonly pipeline: Pick<Pipeline, 'readdress' | 'route' | 'resend'>
  readonly clock: Clock
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf' | 'story'>
  readonly lessons: SpoolLessons
  readonly dataFolder: string
  /** `smtp sub-addr-delim` in force. */
  delimiter(): string
}

/** Every method throws OperationError, or QueueUnavailableError while Redis is away. */
export function createOperations(parts: OperationParts): Operations {
  const { queues } = parts
  return {
    async scheduleAll() {
      let scheduled = 0
      for (const name of workQueues(queues)) scheduled += await queues.promote(name, 'all')
      return scheduled
    },
    scheduleQueue: async (queue) => queues.promote(knownQueue(queues, queue), 'all'),
    scheduleMessage: (id, by) => runNow(parts, id, by),
    hold: (id, by, recipient) => keepBack(parts, id, by, recipient),
    release: (id, by, recipient) => letGo(parts, id, by, recipient),
    async releaseAsHam(id, by) {
      const queues = await letGo(parts, id, by)
      return `back in ${queues.join(', ')}; ${describeLesson(await parts.lessons.learn(id, 'ham'), 'ham')}`
    },
    block: (id, by) => blockSenderOf(parts, id, by),
    remove: (id, by, recipient) => drop(parts, id, by, recipient),
    expire: (id, by, recipient) => giveBack(parts, id, by, recipient),
    reroute: (id, given, by, recipient) => sendElsewhere(parts, id, { given, by, recipient }),
    readdress: (id, change, by) => readdress(parts, id, change, by),
    replay: (id, request, by) => replay(parts, id, request, by),
    tryReplay: (id, request) =>
      tryReplay(
        { ...parts, isWorked: async (queue) => (await workedQueues(parts.dataFolder, parts.clock.now())).has(queue) },
        id,
        request,
      ),
    many: (action, selection, by, tell) => doToMany(parts, action, selection, by, tell),
    rerouteMany: async (given, selection, by, tell) =>
      rerouteMany(parts, await readOrder(parts, given), selection, by, tell),
    counts: (selection) => countMany(queues, selection),
    async setPaused(queue, paused) {
      const name = knownQueue(queues, queue)
      await (paused ? queues.pause(name) : queues.resume(name))
    },
    async limit(queue, given, by) {
      const wanted = readLimit(given)
      await limitQueue(parts, queue, { ...wanted, by, at: parts.clock.now() })
      return describeLimit(wanted)
    },
  }
}

function knownQueue(queues: Queues, name: string): string {
  const names = workQueues(queues)
  if (!names.includes(name)) throw new OperationError(`there is no queue '${name}'; there are: ${names.join(' ')}`)
  return name
}

async function runNow({ queues, events }: OperationParts, id: MessageId, by: string): Promise<number> {
  const jobs = await unfinishedJobs(queues, id)
  let scheduled = 0
  for (const job of jobs) scheduled += await queues.promote(job.queue, job.jobId)
  if (scheduled === 0) throw new OperationError(`message ${id} has no delayed job: ${jobs.map(describeJob).join(', ')}`)
  events.scheduled({ id, by })
  return scheduled
}

/** The log has it before the jobs go, and they read it at their next start: a crash in between delivers nothing of it. */
async function drop(parts: OperationParts, id: MessageId, by: string, recipient?: string): Promise<number> {
  const { queues, spool, events, clock, messages } = parts
  const only = recipient === undefined ? undefined : await recipientNamed(parts, id, recipient)
  const jobs = only === undefined ? await removableJobs(queues, id) : [await splitJob(parts, id, only)]
  const pending = only === undefined ? ((await openMessage(messages, id))?.pending ?? []) : [only]
  if (pending.length === 0 && jobs.length === 0)
    throw new OperationError(`message ${id} is neither in the spool nor in a queue`)
  for (const { queue, jobId } of jobs) await queues.change(queue, jobId, (data) => ({ ...data, recheck: true }))
  const stage = jobs[0]?.data.held?.queue ?? jobs[0]?.queue ?? 'spool'
  const at = clock.now()
  const reason = `removed by ${by}`
  await spool.settle(
    pending.map((one) => ({ id, recipient: one, kind: 'removed', stage, at, reason }) satisfies OutcomeRecord),
  )
  events.removed({ id, rcpt: pending, by, recipient })
  const taken: string[] = []
  for (const job of jobs) if (!(await queues.remove(job.queue, job.jobId))) taken.push(job.jobId)
  if (taken.length > 0)
    throw new OperationError(`a worker took ${taken.join(', ')} at this moment: message ${id} may still go out`)
  return pending.length
}

async function removableJobs(queues: Queues, id: MessageId): Promise<readonly JobSummary[]> {
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  const active = jobs.find((job) => job.state === 'active')
  if (active !== undefined) throw atWork(id, active.queue)
  return jobs
}

async function giveBack(parts: OperationParts, id: MessageId, by: string, recipient?: string): Promise<number> {
  const jobs = await jobsFor(parts, id, recipient)
  let recipients = 0
  let isTaken = false
  for (const job of jobs) {
    if (await returnJob(parts, job, by)) recipients += job.data.rcpt.length
    else isTaken = true
  }
  if (isTaken) throw new OperationError(`a worker has message ${id}: pause the queue and try again`)
  return recipients
}

async function letGo(parts: OperationParts, id: MessageId, by: string, recipient?: string): Promise<readonly string[]> {
  const held = (await jobsFor(parts, id, recipient)).filter((job) => job.queue === heldQueue)
  if (held.length === 0) throw new OperationError(`message ${id} is not held`)
  for (const job of held) await releaseJob(parts, job, by)
  return held.map((job) => job.data.held?.queue ?? heldQueue)
}

interface Elsewhere {
  readonly given: GivenOrder
  readonly by: string
  readonly recipient: string | undefined
}

async function sendElsewhere(
  parts: OperationParts,
  id: MessageId,
  { given, by, recipient }: Elsewhere,
): Promise<ManyDone> {
  const order = await readOrder(parts, given)
  const jobs = (await jobsFor(parts, id, recipient)).filter(isRelayed)
  if (jobs.length === 0)
    throw new OperationError(`message ${id} is delivered on this host and not relayed: give it another recipient`)
  return rerouteJobs(parts, jobs, order, by)
}

async function blockSenderOf(parts: OperationParts, id: MessageId, by: string): Promise<string> {
  const { messages, dataFolder, clock } = parts
  const stored = await messages.find(id)
  if (stored === undefined) throw new OperationError(`message ${id} is not in the spool any more`)
  const { reversePath: from, recipients } = stored.envelope
  const mailboxes = recipients.map(({ mailbox }) => mailbox)
  const delimiter = parts.delimiter()
  const sender = await blockFor({ dataFolder, from, recipients: mailboxes, delimiter, at: clock.now(), by })
  return `mail from ${sender} to ${mailboxes.join(', ')} is refused from now on`
}

async function keepBack(
  parts: OperationParts,
  id: MessageId,
  by: string,
  recipient?: string,
): Promise<readonly string[]> {
  const jobs = (await jobsFor(parts, id, recipient)).filter((job) => job.queue !== heldQueue)
  if (jobs.length === 0) throw new OperationError(`message ${id} is held already`)
  const stages: string[] = []
  for (const job of jobs) if (await holdJob(parts, job, by)) stages.push(job.queue)
  if (stages.length < jobs.length)
    throw new OperationError(`a worker has message ${id}: pause the queue and try again${heldSoFar(stages)}`)
  return stages
}

function heldSoFar(stages: readonly string[]): string {
  return stages.length === 0 ? '' : `; held so far in ${stages.join(', ')}`
}
