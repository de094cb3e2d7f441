import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Tag } from '../mail/tag.ts'
import { formatReply } from '../mail/reply.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { jobOf, planJobs } from '../pipeline/plan.ts'
import type { Group } from '../pipeline/plan.ts'
import type { NewJob } from '../queue/job.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { plural } from '../report/units.ts'
import { withDecisions } from '../spool/decisions.ts'
import { isFinal } from '../spool/spool.ts'
import type { OutcomeRecord, Spool, SpooledMessage } from '../spool/spool.ts'
import { atWork, splitJob } from './message-jobs.ts'
import { OperationError } from './operation-error.ts'

export interface ReplayParts {
  readonly queues: Queues
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'replayed'>
  readonly clock: Clock
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf'>
  readonly pipeline: Pick<Pipeline, 'route' | 'resend'>
}

export interface ReplayRequest {
  /** A queue that it passed within the last hour; absent: from its beginning, as the rules say now. */
  readonly from?: string | undefined
  /** His copy alone. */
  readonly recipient?: string | undefined
  /** Those copies alone, by their indexes in the envelope. */
  readonly only?: ReadonlySet<number> | undefined
  /** Also for those who have it already. */
  readonly again?: boolean | undefined
  /** Tells what would be done, and does nothing. */
  readonly dryRun?: boolean | undefined
}

export interface ReplayDone {
  /** Those whose copy waited, and goes again. */
  readonly moved: readonly Mailbox[]
  /** Those whose copy had come to its end, and goes again as message `as`. */
  readonly resent: readonly Mailbox[]
  readonly as?: MessageId
  /** Those who have it already. */
  readonly left: readonly Mailbox[]
  /** With which tags and how many edits of its header section it begins. */
  readonly tags: readonly Tag[]
  readonly edits: number
}

/** A message as it came to a stage. */
interface Start {
  readonly tags: readonly Tag[]
  readonly edits: readonly HeaderEdit[]
  readonly path: readonly string[]
  /** Absent: where the rules say. */
  readonly place: Omit<Group, 'recipients'> | undefined
}

interface Asked {
  readonly stored: SpooledMessage
  readonly envelope: Envelope
  readonly outcomes: readonly OutcomeRecord[]
  readonly start: Start
  readonly pending: readonly number[]
  readonly ended: readonly number[]
  readonly left: readonly number[]
}

/**
 * Lets a message go again from a queue it passed, with its octets, tags and edits as they were there. A copy that waits is moved back; one that
 * has come to its end goes as a new message, so that each of the two has one outcome; nobody gets it twice unless that is asked for.
 * @throws OperationError when it is not in the spool any more, did not pass there lately, or a worker has it
 */
export async function replay(
  parts: ReplayParts,
  id: MessageId,
  request: ReplayRequest,
  by: string,
): Promise<ReplayDone> {
  const asked = await lookAt(parts, id, request)
  const { envelope, start, pending, ended, left } = asked
  const mailboxes = (recipients: readonly number[]): readonly Mailbox[] =>
    recipients.flatMap((recipient) => envelope.recipients[recipient]?.mailbox ?? [])
  const about = { left: mailboxes(left), tags: start.tags, edits: start.edits.length }
  const done = { ...about, moved: mailboxes(pending), resent: mailboxes(ended) }
  if (request.dryRun === true) return done
  const told = { id, stage: request.from, by }
  if (pending.length > 0) {
    await moveBack(parts, asked, by)
    parts.events.replayed({ ...told, rcpt: pending, to: done.moved })
  }
  if (ended.length === 0) return done
  const as = await sendAgain(parts, asked)
  parts.events.replayed({ ...told, rcpt: ended, to: done.resent, as })
  return { ...done, as }
}

async function lookAt(
  { queues, messages }: ReplayParts,
  id: MessageId,
  { from, recipient, only, again }: ReplayRequest,
): Promise<Asked> {
  const stored = await messages.find(id)
  if (stored === undefined) throw new OperationError(`message ${id} is not in the spool any more`)
  const outcomes = await messages.outcomesOf(id)
  const envelope = withDecisions(stored.envelope, outcomes)
  const chosen = chosenOf(envelope, recipient).filter((one) => only?.has(one) !== false)
  const kinds = new Map(outcomes.filter(isFinal).map((outcome) => [outcome.recipient, outcome.kind]))
  const pending = chosen.filter((one) => !kinds.has(one))
  const arrived = chosen.filter((one) => ['delivered', 'relayed'].includes(kinds.get(one) ?? ''))
  const left = again === true ? [] : arrived
  const ended = chosen.filter((one) => kinds.has(one) && !left.includes(one))
  if (pending.length + ended.length === 0)
    throw new OperationError(`message ${id} has arrived already: say so when it is to be sent again (--again)`)
  const start = startOf(stored, await queues.jobsOf(id), [...pending, ...ended], from)
  return { stored, envelope, outcomes, start, pending, ended, left }
}

function chosenOf({ id, recipients }: Envelope, address: string | undefined): readonly number[] {
  const all = [...recipients.keys()]
  if (address === undefined) return all
  const found = all.filter((index) => recipients[index]?.mailbox.toLowerCase() === address.toLowerCase())
  if (found.length > 0) return found
  throw new OperationError(`message ${id} is not for ${address}: ${recipients.map((one) => one.mailbox).join(', ')}`)
}

/** As the jobs of the last hour have it. @throws OperationError */
function startOf(
  { envelope, edits }: SpooledMessage,
  jobs: readonly JobSummary[],
  recipients: readonly number[],
  from: string | undefined,
): Start {
  if (from === undefined) return { tags: envelope.tags, edits, path: [], place: undefined }
  const passed = jobs.filter(({ state, queue }) => state === 'completed' && queue !== heldQueue)
  const there = passed.filter(({ queue, data }) => queue === from && recipients.some((one) => data.rcpt.includes(one)))
  const [latest] = there.toSorted((one, other) => other.addedAt - one.addedAt)
  if (latest === undefined) {
    const known = [...new Set(passed.map(({ queue }) => queue))]
    const others = known.length === 0 ? 'nothing is known of where it was' : `it passed ${known.join(', ')}`
    throw new OperationError(
      `message ${envelope.id} has not passed ${from} within the last hour: ${others}; without a stage it goes from its beginning`,
    )
  }
  const missing = recipients.filter((one) => !there.some(({ data }) => data.rcpt.includes(one)))
  if (missing.length > 0) {
    const who = missing.map((one) => envelope.recipients[one]?.mailbox ?? String(one))
    throw new OperationError(`the copy for ${who.join(', ')} has not passed ${from}: name one recipient that has`)
  }
  const { tags, edits: made, path, action, destination, order } = latest.data
  return {
    tags,
    edits: made,
    path,
    place: { queue: from, rule: 'replay', ruleText: undefined, action, destination, order },
  }
}

/** Out of its queue before it comes into another: what stops in between leaves it held, or in both with a look at the log. */
async function moveBack(parts: ReplayParts, asked: Asked, by: string): Promise<void> {
  const { queues, spool, clock } = parts
  const { id } = asked.envelope
  for (const job of await ownJobs(parts, asked)) {
    const next = await jobsFrom(parts, asked, job)
    await holdIt(queues, job, `goes again, by ${by}`)
    const stage = job.data.held?.queue ?? job.queue
    const at = clock.now()
    await spool.settle(
      job.data.rcpt.map((recipient) => ({ id, recipient, kind: 'released', stage, at }) satisfies OutcomeRecord),
    )
    await queues.add(next)
    await queues.remove(heldQueue, job.jobId)
  }
}

/** Jobs that are about the chosen recipients alone. */
async function ownJobs({ queues }: ReplayParts, { envelope: { id }, pending }: Asked): Promise<readonly JobSummary[]> {
  const own: JobSummary[] = []
  const open = (await queues.jobsOf(id)).filter(({ state }) => state !== 'completed')
  for (const job of open) {
    const chosen = job.data.rcpt.filter((one) => pending.includes(one))
    if (chosen.length > 0 && job.state === 'active') throw atWork(id, job.queue)
    if (chosen.length === job.data.rcpt.length) own.push(job)
    else for (const one of chosen) own.push(await splitJob({ queues }, id, one))
  }
  if (own.length === 0)
    throw new OperationError(`message ${id} has no job at this moment: the ledger gives it one soon`)
  return own
}

async function holdIt(queues: Queues, { queue, jobId, data }: JobSummary, reason: string): Promise<void> {
  if (queue === heldQueue || (await queues.hold(queue, jobId, reason))) return
  throw atWork(data.id, queue)
}

async function jobsFrom(
  { pipeline, clock }: ReplayParts,
  { envelope, start }: Asked,
  { jobId, data }: JobSummary,
): Promise<readonly NewJob[]> {
  const { tags, edits, path, place } = start
  const delayMs = Math.max(0, data.receivedAt - clock.now())
  const series = `${jobId} ${clock.now()}`
  const journey = {
    envelope: { ...envelope, tags },
    at: data.at,
    pending: data.rcpt,
    edits,
    path,
    recheck: true,
    series,
  }
  if (place !== undefined) return [{ ...jobOf(journey, { ...place, recipients: data.rcpt }), delayMs }]
  const { jobs, refused } = await planJobs(journey, pipeline.route)
  const [no] = refused
  if (no !== undefined)
    throw new OperationError(`the rules refuse message ${envelope.id} now: ${formatReply(no.reply)}`)
  return jobs.map((job) => ({ ...job, delayMs }))
}

async function sendAgain(
  { pipeline, clock }: ReplayParts,
  { stored, envelope, start, ended }: Asked,
): Promise<MessageId> {
  const { releaseAt: _, ...kept } = envelope
  const id = newMessageId(clock.now())
  const recipients = ended.flatMap((one) => envelope.recipients[one] ?? []).map(({ order: __, ...one }) => one)
  const { tags, edits, path, place } = start
  const first = place === undefined ? undefined : { ...place, recipients: [...recipients.keys()] }
  await pipeline.resend(stored, {
    envelope: { ...kept, id, recipients, tags, receivedAt: clock.now() },
    edits,
    path,
    first,
  })
  return id
}

/** One sentence for each copy. */
export function describeReplay(
  { moved, resent, as, left, tags, edits }: ReplayDone,
  { from = 'its beginning', dryRun }: Pick<ReplayRequest, 'from' | 'dryRun'>,
): readonly string[] {
  const goes = dryRun === true ? 'would go' : 'goes'
  const how = `from ${from}, with ${tags.length === 0 ? 'no tag' : `tag ${tags.join(', ')}`} and ${plural(edits, 'edit')}`
  const name = as === undefined ? 'a new message' : `message ${as}`
  return [
    ...moved.map((mailbox) => `${mailbox}: ${goes} again ${how}`),
    ...resent.map((mailbox) => `${mailbox}: ${goes} as ${name} ${how}`),
    ...left.map((mailbox) => `${mailbox}: has it already, and is left out (--again)`),
  ]
}
