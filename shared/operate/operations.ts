import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { MessageId } from '../mail/message-id.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { workQueues } from '../report/read-queues.ts'
import type { FileSpool } from '../spool/file-spool.ts'
import { doToMany, holdJob, releaseJob, returnJob } from './many.ts'
import type { ManyAction, ManyDone, Selection } from './many.ts'
import { OperationError } from './operation-error.ts'
import { blockFor } from './quarantine.ts'
import { describeLesson } from './spool-lessons.ts'
import type { SpoolLessons } from './spool-lessons.ts'
import { isFinal } from '../spool/spool.ts'
import type { OutcomeRecord } from '../spool/spool.ts'

/** What an operator can change, for sluicectl and the dashboard alike. `by` tells the story who it was: `jane (sluicectl)`. */
export interface Operations {
  /** Tries the delayed messages of all queues now. @returns how many */
  scheduleAll(): Promise<number>
  scheduleQueue(queue: string): Promise<number>
  scheduleMessage(id: MessageId, by: string): Promise<number>
  /** Keeps a message in its queues until it is released. @returns the queues */
  hold(id: MessageId, by: string): Promise<readonly string[]>
  /** Lets a held message go: into its queue, or on past the filter that kept it back. @returns the queues */
  release(id: MessageId, by: string): Promise<readonly string[]>
  /** As `release`, and teaches the classifier that it is wanted. @returns what came of it, one sentence */
  releaseAsHam(id: MessageId, by: string): Promise<string>
  /** Refuses mail from its sender to its recipients from now on; the message itself stays. @returns one sentence */
  block(id: MessageId, by: string): Promise<string>
  /** Drops a message for good, unreported. @returns for how many recipients */
  remove(id: MessageId, by: string): Promise<number>
  /**
   * Returns a message to its sender now, as when its time is over. @returns for how many recipients
   * @throws OperationError when a worker has it, or a filter keeps it back
   */
  expire(id: MessageId, by: string): Promise<number>
  many(action: ManyAction, selection: Selection, by: string): Promise<ManyDone>
  /** @throws OperationError when there is no such queue */
  setPaused(queue: string, paused: boolean): Promise<void>
}

export interface OperationParts {
  readonly queues: Queues
  readonly spool: Pick<FileSpool, 'settle'>
  readonly events: Pick<Events, 'scheduled' | 'removed' | 'released' | 'held' | 'returned'>
  readonly clock: Clock
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf'>
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
    hold: (id, by) => keepBack(parts, id, by),
    release: (id, by) => letGo(parts, id, by),
    async releaseAsHam(id, by) {
      const queues = await letGo(parts, id, by)
      return `back in ${queues.join(', ')}; ${describeLesson(await parts.lessons.learn(id, 'ham'), 'ham')}`
    },
    block: (id, by) => blockSenderOf(parts, id, by),
    remove: (id, by) => drop(parts, id, by),
    expire: (id, by) => giveBack(parts, id, by),
    many: (action, selection, by) => doToMany(parts, action, selection, by),
    async setPaused(queue, paused) {
      const name = knownQueue(queues, queue)
      await (paused ? queues.pause(name) : queues.resume(name))
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

/** The outcome is on disk before the jobs go: a crash in between loses only the jobs, which nobody makes again. */
async function drop(parts: OperationParts, id: MessageId, by: string): Promise<number> {
  const { queues, spool, events, clock } = parts
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  const active = jobs.find((job) => job.state === 'active')
  if (active !== undefined)
    throw new OperationError(`message ${id} is being worked on in queue ${active.queue}: pause the queue and try again`)
  const pending = await pendingRecipients(parts, id)
  if (pending.length === 0 && jobs.length === 0)
    throw new OperationError(`message ${id} is neither in the spool nor in a queue`)
  const stage = jobs[0]?.data.held?.queue ?? jobs[0]?.queue ?? 'spool'
  const at = clock.now()
  const reason = `removed by ${by}`
  await spool.settle(
    pending.map((recipient) => ({ id, recipient, kind: 'removed', stage, at, reason }) satisfies OutcomeRecord),
  )
  events.removed({ id, rcpt: pending, by })
  const taken: string[] = []
  for (const job of jobs) if (!(await queues.remove(job.queue, job.jobId))) taken.push(job.jobId)
  if (taken.length > 0)
    throw new OperationError(`a worker took ${taken.join(', ')} at this moment: message ${id} may still go out`)
  return pending.length
}

async function giveBack(parts: OperationParts, id: MessageId, by: string): Promise<number> {
  const jobs = await unfinishedJobs(parts.queues, id)
  let recipients = 0
  let isTaken = false
  for (const job of jobs) {
    if (await returnJob(parts, job, by)) recipients += job.data.rcpt.length
    else isTaken = true
  }
  if (isTaken) throw new OperationError(`a worker has message ${id}: pause the queue and try again`)
  return recipients
}

async function letGo(parts: OperationParts, id: MessageId, by: string): Promise<readonly string[]> {
  const held = (await unfinishedJobs(parts.queues, id)).filter((job) => job.queue === heldQueue)
  if (held.length === 0) throw new OperationError(`message ${id} is not held`)
  for (const job of held) await releaseJob(parts, job, by)
  return held.map((job) => job.data.held?.queue ?? heldQueue)
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

async function keepBack(parts: OperationParts, id: MessageId, by: string): Promise<readonly string[]> {
  const jobs = (await unfinishedJobs(parts.queues, id)).filter((job) => job.queue !== heldQueue)
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

async function unfinishedJobs(queues: Queues, id: MessageId): Promise<readonly JobSummary[]> {
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  if (jobs.length === 0) throw new OperationError(`message ${id} is in no queue; its story tells where it went`)
  return jobs
}

async function pendingRecipients({ messages }: OperationParts, id: MessageId): Promise<readonly number[]> {
  const stored = await messages.find(id)
  if (stored === undefined) return []
  const final = new Set((await messages.outcomesOf(id)).filter(isFinal).map((outcome) => outcome.recipient))
  return [...stored.envelope.recipients.keys()].filter((recipient) => !final.has(recipient))
}

function describeJob(job: JobSummary): string {
  return `${job.queue} ${job.queue === heldQueue ? 'held' : job.state}`
}
