import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import { withFileLock } from '../file-lock.ts'
import type { Mailbox } from '../mail/address.ts'
import { copyKey } from '../mail/envelope.ts'
import type { Envelope, Recipient } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Tag } from '../mail/tag.ts'
import { formatReply } from '../mail/reply.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { jobOf, mailboxOf, planJobs } from '../pipeline/plan.ts'
import type { Group } from '../pipeline/plan.ts'
import type { NewJob } from '../queue/job.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { plural } from '../report/units.ts'
import { isFinal } from '../spool/spool.ts'
import type { OutcomeRecord, Spool, SpooledMessage } from '../spool/spool.ts'
import { atWork, splitJob } from './message-jobs.ts'
import { OperationError } from './operation-error.ts'
import { resolveCopies } from './readdress.ts'
import { chosenOf, inSpool } from './replay-choice.ts'
import { startsOf } from './replay-start.ts'
import type { Start } from './replay-start.ts'
import { isArrival, replayedBefore } from './replayed-before.ts'

export interface ReplayParts {
  readonly configuration: { readonly pipeline: Pick<Configuration['pipeline'], 'replay'> }
  readonly queues: Queues
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'replayed' | 'flush'>
  readonly dataFolder: string
  readonly clock: Clock
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf' | 'story'>
  readonly pipeline: Pick<Pipeline, 'route' | 'resend' | 'readdress'>
}

export interface ReplayRequest {
  /** A queue that it passed; absent: from its beginning, as the rules say now. */
  readonly from?: string | undefined
  /** His copy alone. */
  readonly recipient?: string | undefined
  /** Those copies alone, by their indexes in the envelope. */
  readonly only?: ReadonlySet<number> | undefined
  /** A copy for this address, in place of those it was for. */
  readonly to?: string | undefined
  /** Also for those who have it already. */
  readonly again?: boolean | undefined
  /** Tells what would be done, and does nothing. */
  readonly dryRun?: boolean | undefined
}

export interface ReplayDone {
  readonly copies: readonly ReplayedCopy[]
  /** Those who have it already, and are left out. */
  readonly left: readonly Mailbox[]
}

export interface ReplayedCopy {
  readonly mailbox: Mailbox
  /** `moved`: it waited, and goes again; `resent`: it had come to its end, and goes as a new message; `copied`: to an address it was not for. */
  readonly kind: 'moved' | 'resent' | 'copied'
  /** The new message. */
  readonly as?: MessageId
  /** He has it already. */
  readonly twice?: true
  /** With which tags and how many edits of its header section it begins. */
  readonly tags: readonly Tag[]
  readonly edits: number
}

interface Asked {
  readonly stored: SpooledMessage
  readonly envelope: Envelope
  /** Of `pending` and `ended`, each recipient once. */
  readonly starts: readonly Start[]
  readonly pending: readonly number[]
  readonly ended: readonly number[]
  /** Those of `ended` who have it. */
  readonly arrived: readonly number[]
  readonly left: readonly number[]
}

/**
 * Lets a message go again from a queue it passed, with its octets, tags and edits as they were there. A copy that waits is moved back; one that
 * has come to its end goes as a new message, so that each of the two has one outcome; nobody gets it twice unless that is asked for.
 * One replay of a message at a time: who asks for the same at the same moment finds it done.
 * @throws OperationError when it is not in the spool any more, nobody knows how it came there, or a worker has it
 */
export async function replay(
  parts: ReplayParts,
  id: MessageId,
  request: ReplayRequest,
  by: string,
): Promise<ReplayDone> {
  if (request.dryRun === true) return replayNow(parts, id, request, by)
  const folder = join(parts.dataFolder, 'replays')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return withFileLock(join(folder, `${id}.lock`), async () => {
    try {
      return await replayNow(parts, id, request, by)
    } finally {
      // The next one reads in the story who has it.
      await parts.events.flush()
    }
  })
}

async function replayNow(parts: ReplayParts, id: MessageId, request: ReplayRequest, by: string): Promise<ReplayDone> {
  if (request.to !== undefined) return sendCopy(parts, id, { ...request, to: request.to }, by)
  const asked = await lookAt(parts, id, request)
  const { starts, pending, ended, left } = asked
  const done = { copies: starts.flatMap((start) => copiesOf(asked, start)), left: mailboxes(asked, left) }
  if (request.dryRun === true) return done
  const told = { id, stage: request.from, by }
  if (pending.length > 0) {
    await moveBack(parts, asked, by)
    parts.events.replayed({ ...told, rcpt: pending, to: mailboxes(asked, pending) })
  }
  const names = new Map<Mailbox, MessageId>()
  for (const group of messagesOf(starts, ended)) {
    const rcpt = group.flatMap(({ recipients }) => recipients)
    const as = await sendAgain(parts, asked, group)
    for (const mailbox of mailboxes(asked, rcpt)) names.set(mailbox, as)
    parts.events.replayed({ ...told, rcpt, to: mailboxes(asked, rcpt), as })
  }
  const named = done.copies.map((copy) => {
    const as = copy.kind === 'moved' ? undefined : names.get(copy.mailbox)
    return as === undefined ? copy : { ...copy, as }
  })
  return { ...done, copies: named }
}

function mailboxes({ envelope }: Pick<Asked, 'envelope'>, recipients: readonly number[]): readonly Mailbox[] {
  return recipients.flatMap((recipient) => envelope.recipients[recipient]?.mailbox ?? [])
}

function copiesOf({ envelope, pending, arrived }: Asked, { recipients, tags, edits }: Start): readonly ReplayedCopy[] {
  return recipients.map((recipient) => ({
    mailbox: mailboxOf(envelope, recipient),
    kind: pending.includes(recipient) ? 'moved' : 'resent',
    ...(arrived.includes(recipient) ? { twice: true } : {}),
    tags,
    edits: edits.length,
  }))
}

async function lookAt(
  parts: ReplayParts,
  id: MessageId,
  { from, recipient, only, again, dryRun }: ReplayRequest,
): Promise<Asked> {
  const { stored, envelope, outcomes } = await inSpool(parts, id)
  const chosen = chosenOf(envelope, recipient).filter((one) => only?.has(one) !== false)
  const kinds = new Map(outcomes.filter(isFinal).map((outcome) => [outcome.recipient, outcome.kind]))
  const pending = chosen.filter((one) => !kinds.has(one))
  const before = await replayedBefore(parts.messages, await parts.messages.story(id))
  const arrived = chosen.filter((one) => {
    const kind = kinds.get(one)
    return kind !== undefined && (isArrival({ kind }) || before.recipients.has(one))
  })
  const left = again === true ? [] : arrived
  const ended = chosen.filter((one) => kinds.has(one) && !left.includes(one))
  if (pending.length + ended.length === 0 && dryRun !== true)
    throw new OperationError(`message ${id} has arrived already: say so when it is to be sent again (--again)`)
  const starts = await startsOf(parts, stored, [...pending, ...ended], from)
  return { stored, envelope, starts, pending, ended, arrived, left }
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
  { envelope, starts }: Asked,
  { jobId, data }: JobSummary,
): Promise<readonly NewJob[]> {
  const delayMs = Math.max(0, data.receivedAt - clock.now())
  const series = `${jobId} ${clock.now()}`
  const next: NewJob[] = []
  for (const { recipients, tags, edits, path, place } of starts) {
    const pending = recipients.filter((one) => data.rcpt.includes(one))
    if (pending.length === 0) continue
    const journey = { envelope: { ...envelope, tags }, at: data.at, pending, edits, path, recheck: true, series }
    if (place !== undefined) {
      next.push(jobOf(journey, { ...place, recipients: pending }))
      continue
    }
    const { jobs, refused } = await planJobs(journey, pipeline.route)
    const [no] = refused
    if (no !== undefined)
      throw new OperationError(`the rules refuse message ${envelope.id} now: ${formatReply(no.reply)}`)
    next.push(...jobs)
  }
  return next.map((job) => ({ ...job, delayMs }))
}

/** What begins with the same octets and tags is one message. */
function messagesOf(starts: readonly Start[], ended: readonly number[]): readonly (readonly Start[])[] {
  const groups = new Map<string, Start[]>()
  for (const start of starts) {
    const recipients = start.recipients.filter((one) => ended.includes(one))
    if (recipients.length === 0) continue
    const key = JSON.stringify([start.tags, start.edits, start.path])
    groups.set(key, [...(groups.get(key) ?? []), { ...start, recipients }])
  }
  return [...groups.values()]
}

async function sendAgain(parts: ReplayParts, { stored, envelope }: Asked, group: readonly Start[]): Promise<MessageId> {
  const id = newMessageId(parts.clock.now())
  const { releaseAt: _, ...kept } = envelope
  const chosen = group.flatMap((start) => start.recipients)
  const recipients = chosen.flatMap((one) => envelope.recipients[one] ?? []).map(({ order: __, ...one }) => one)
  const firsts = group.flatMap(({ place, recipients: those }) =>
    place === undefined ? [] : [{ ...place, recipients: those.map((one) => chosen.indexOf(one)) }],
  )
  await sendAsNew(parts, stored, group, { ...kept, id, recipients }, firsts)
  return id
}

async function sendAsNew(
  { pipeline, clock }: ReplayParts,
  stored: SpooledMessage,
  [start]: readonly Start[],
  envelope: Envelope,
  firsts: readonly Group[],
): Promise<void> {
  if (start === undefined) return
  const { tags, edits, path } = start
  await pipeline.resend(stored, {
    envelope: { ...envelope, tags, receivedAt: clock.now() },
    edits,
    path,
    firsts,
  })
}

/**
 * The same octets to an address that the message was not for. Its sender hears nothing of what becomes of that; whom it is delivered or relayed
 * to the rules say.
 */
async function sendCopy(
  parts: ReplayParts,
  id: MessageId,
  request: ReplayRequest & { readonly to: string },
  by: string,
): Promise<ReplayDone> {
  const { stored, envelope, outcomes } = await inSpool(parts, id)
  const { from, recipient, only, to, again, dryRun } = request
  const recipients = await copiesFor(parts, envelope, to)
  const failed = new Set(outcomes.filter((one) => isFinal(one) && !isArrival(one)).map((one) => one.recipient))
  const has = new Set(envelope.recipients.filter((_, index) => !failed.has(index)).map(copyKey))
  const before = await replayedBefore(parts.messages, await parts.messages.story(id))
  const twice = recipients.filter((copy) => has.has(copyKey(copy)) || before.mailboxes.has(copy.mailbox))
  const [first] = twice
  if (first !== undefined && again !== true)
    throw new OperationError(`${first.mailbox} has it already, or will: say so when it is to be sent again (--again)`)
  const chosen = chosenOf(envelope, recipient).filter((one) => only?.has(one) !== false)
  const start = await copyStart(parts, stored, chosen, from)
  const copies = recipients.map((copy) => ({
    mailbox: copy.mailbox,
    kind: 'copied' as const,
    ...(twice.includes(copy) ? { twice: true as const } : {}),
    tags: start.tags,
    edits: start.edits.length,
  }))
  if (dryRun === true) return { copies, left: [] }
  const as = newMessageId(parts.clock.now())
  const { releaseAt: _, dsn: __, ...kept } = envelope
  const firsts = start.place === undefined ? [] : [{ ...start.place, recipients: [...recipients.keys()] }]
  await sendAsNew(parts, stored, [start], { ...kept, id: as, recipients }, firsts)
  parts.events.replayed({ id, stage: from, by, rcpt: [], to: recipients.map(({ mailbox }) => mailbox), as })
  return { copies: copies.map((copy) => ({ ...copy, as })), left: [] }
}

async function copiesFor(parts: ReplayParts, envelope: Envelope, to: string): Promise<readonly Recipient[]> {
  const copies = await resolveCopies(parts.pipeline.readdress, envelope, to)
  return copies.map((copy) => ({ ...copy, notify: ['never'] as const }))
}

/** Where the message itself was delivered or relayed, the copy goes as the rules say. */
async function copyStart(
  parts: ReplayParts,
  stored: SpooledMessage,
  recipients: readonly number[],
  from: string | undefined,
): Promise<Start> {
  const errors: unknown[] = []
  for (const recipient of recipients) {
    const found = await startsOf(parts, stored, [recipient], from).catch((error: unknown) => void errors.push(error))
    const [start] = found ?? []
    if (start === undefined) continue
    const isEnd = start.place?.action !== undefined || start.place?.destination !== undefined
    return isEnd ? { ...start, place: undefined } : start
  }
  throw errors[0]
}

/** One sentence for each copy. */
export function describeReplay(
  { copies, left }: ReplayDone,
  { from = 'its beginning', dryRun }: Pick<ReplayRequest, 'from' | 'dryRun'>,
): readonly string[] {
  const goes = dryRun === true ? 'would go' : 'goes'
  return [
    ...copies.map(({ mailbox, kind, as, tags, edits, twice }) => {
      const name = as === undefined ? 'a new message' : `message ${as}`
      const what = kind === 'moved' ? 'again' : kind === 'resent' ? `as ${name}` : `a copy, as ${name},`
      const tagged = tags.length === 0 ? 'no tag' : `tag ${tags.join(', ')}`
      const second = twice === true ? '; he has it already, and gets it twice' : ''
      return `${mailbox}: ${goes} ${what} from ${from}, with ${tagged} and ${plural(edits, 'edit')}${second}`
    }),
    ...left.map((mailbox) => `${mailbox}: has it already, and is left out (--again)`),
  ]
}
