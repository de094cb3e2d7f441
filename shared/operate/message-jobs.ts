import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { MessageId } from '../mail/message-id.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { withDecisions } from '../spool/decisions.ts'
import { isFinal } from '../spool/spool.ts'
import { OperationError } from './operation-error.ts'

export interface MessageJobParts {
  readonly queues: Pick<Queues, 'jobsOf' | 'job' | 'split'>
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf'>
}

/** What is still to be done of a message, as operators' decisions leave it. */
export interface OpenMessage {
  readonly envelope: Envelope
  /** Recipients without a final outcome. */
  readonly pending: readonly number[]
}

/** @throws OperationError when there are none */
export async function unfinishedJobs(queues: Pick<Queues, 'jobsOf'>, id: MessageId): Promise<readonly JobSummary[]> {
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  if (jobs.length === 0) throw new OperationError(`message ${id} is in no queue; its story tells where it went`)
  return jobs
}

/** The jobs of a message, or that of one recipient, split off from what others share with him. @throws OperationError */
export async function jobsFor(
  parts: MessageJobParts,
  id: MessageId,
  recipient: string | undefined,
): Promise<readonly JobSummary[]> {
  if (recipient === undefined) return unfinishedJobs(parts.queues, id)
  return [await splitJob(parts, id, await recipientNamed(parts, id, recipient))]
}

/** @throws OperationError when a worker has it */
export async function splitJob(
  { queues }: Pick<MessageJobParts, 'queues'>,
  id: MessageId,
  recipient: number,
): Promise<JobSummary> {
  const job = (await unfinishedJobs(queues, id)).find(({ data }) => data.rcpt.includes(recipient))
  if (job === undefined) throw new OperationError(`message ${id} is in no queue for this recipient`)
  const jobId = await queues.split(job.queue, job.jobId, recipient)
  const own = jobId === undefined ? undefined : await queues.job(job.queue, jobId)
  if (own === undefined || own.state === 'active') throw atWork(id, job.queue)
  return own
}

export function atWork(id: MessageId, queue: string): OperationError {
  return new OperationError(`message ${id} is being worked on in queue ${queue}: pause the queue and try again`)
}

/** The index of a recipient that has no final outcome. @throws OperationError */
export async function recipientNamed(
  { messages }: Pick<MessageJobParts, 'messages'>,
  id: MessageId,
  address: string,
): Promise<number> {
  const open = await openMessage(messages, id)
  const wanted = address.toLowerCase()
  const found = open?.pending.find((index) => open.envelope.recipients[index]?.mailbox.toLowerCase() === wanted)
  if (found !== undefined) return found
  const others = open === undefined ? [] : mailboxesOf(open)
  const there = others.length === 0 ? 'nothing waits for anybody' : `what waits is for ${others.join(', ')}`
  throw new OperationError(`message ${id} does not wait for ${address}: ${there}`)
}

/** `undefined`: it is not in the spool. */
export async function openMessage(
  messages: MessageJobParts['messages'],
  id: MessageId,
): Promise<OpenMessage | undefined> {
  const stored = await messages.find(id)
  if (stored === undefined) return undefined
  const outcomes = await messages.outcomesOf(id)
  const final = new Set(outcomes.filter(isFinal).map((outcome) => outcome.recipient))
  const envelope = withDecisions(stored.envelope, outcomes)
  return { envelope, pending: [...envelope.recipients.keys()].filter((recipient) => !final.has(recipient)) }
}

export function describeJob(job: JobSummary): string {
  return `${job.queue} ${job.queue === heldQueue ? 'held' : job.state}`
}

function mailboxesOf({ envelope, pending }: OpenMessage): readonly Mailbox[] {
  return pending.flatMap((index) => envelope.recipients[index]?.mailbox ?? [])
}
