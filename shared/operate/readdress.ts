import type { Clock } from '../clock.ts'
import { TableError } from '../config/tables.ts'
import type { Events } from '../events.ts'
import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { copyKey } from '../mail/envelope.ts'
import type { Envelope, Recipient } from '../mail/envelope.ts'
import type { MessageId } from '../mail/message-id.ts'
import { formatReply } from '../mail/reply.ts'
import type { Readdresser } from '../pipeline/expander.ts'
import { heldQueue } from '../queue/queues.ts'
import type { Queues } from '../queue/queues.ts'
import type { Resolution } from '../routing/expand.ts'
import type { Spool } from '../spool/spool.ts'
import { atWork, openMessage, recipientNamed, splitJob } from './message-jobs.ts'
import type { MessageJobParts } from './message-jobs.ts'
import { OperationError } from './operation-error.ts'

export interface ReaddressParts extends MessageJobParts {
  readonly queues: MessageJobParts['queues'] & Pick<Queues, 'change'>
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'readdressed'>
  readonly clock: Clock
  readonly pipeline: { readonly readdress: Readdresser }
}

/** The copy for `from` goes to `to` from now on. */
export interface Readdressing {
  readonly from: string
  readonly to: string
}

/**
 * Gives a copy that waits another address: the rules are asked anew, as for an address that an alias gave; reports name the one the sender wrote.
 * The others of its message are left as they are. The log has it before the job changes; what a crash leaves is completed by the ledger.
 * @returns where the copy goes now, which an alias may have changed
 * @throws OperationError when the rules refuse the address, it stands for several, it has a copy already, or a worker has the job
 */
export async function readdress(
  parts: ReaddressParts,
  id: MessageId,
  { from, to }: Readdressing,
  by: string,
): Promise<Mailbox> {
  const { queues, spool, events, clock, messages } = parts
  const recipient = await recipientNamed(parts, id, from)
  const envelope = (await openMessage(messages, id))?.envelope
  const before = envelope?.recipients[recipient]
  if (envelope === undefined || before === undefined)
    throw new OperationError(`message ${id} is not in the spool any more`)
  const copy = await copyFor(parts, envelope, to)
  if (envelope.recipients.some((other) => copyKey(other) === copyKey(copy)))
    throw new OperationError(`message ${id} has a copy for ${copy.mailbox} already`)
  const job = await splitJob(parts, id, recipient)
  const at = clock.now()
  const stage = job.data.held?.queue ?? job.queue
  await spool.settle([{ id, recipient, kind: 'readdressed', stage, at, reason: `by ${by}`, copy }])
  events.readdressed({ id, rcpt: [recipient], recipient: before.mailbox, to: copy.mailbox, by })
  const isDue = job.queue !== heldQueue && job.data.receivedAt <= at
  const isChanged = await queues.change(
    job.queue,
    job.jobId,
    (data) => ({ ...data, to: [copy.mailbox], recheck: true }),
    isDue,
  )
  if (!isChanged) throw atWork(id, `${job.queue}, where a worker took it at this moment for ${before.mailbox}`)
  return copy.mailbox
}

async function copyFor({ pipeline }: ReaddressParts, envelope: Envelope, to: string): Promise<Copy> {
  const copies = await resolveCopies(pipeline.readdress, envelope, to)
  const [only, ...others] = copies
  if (only === undefined || others.length > 0) {
    const all = copies.map((one) => one.mailbox).join(', ')
    throw new OperationError(`${to} stands for ${copies.length} addresses: name one of ${all}`)
  }
  return only
}

type Copy = Pick<Recipient, 'mailbox' | 'target'>

/** Whom an address that an operator names stands for. @throws OperationError when it is none, or the rules refuse it */
export async function resolveCopies(ask: Readdresser, envelope: Envelope, to: string): Promise<readonly Copy[]> {
  const mailbox = parseMailbox(to)
  if (mailbox === undefined) throw new OperationError(`'${to}' is not an address like jane@example.org`)
  const resolution = await resolved(ask, envelope, mailbox)
  if (resolution.kind === 'rejected')
    throw new OperationError(`the rules refuse ${mailbox}: ${formatReply(resolution.reply)}`)
  return resolution.recipients.map((one) => ({
    mailbox: one.mailbox,
    ...(one.target === undefined ? {} : { target: one.target }),
  }))
}

async function resolved(ask: Readdresser, envelope: Envelope, mailbox: Mailbox): Promise<Resolution> {
  try {
    return await ask(envelope, mailbox)
  } catch (error) {
    if (error instanceof TableError)
      throw new OperationError(`the rules cannot be asked about ${mailbox}: ${error.message}`)
    throw error
  }
}
