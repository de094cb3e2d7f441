import type { Clock } from '../clock.ts'
import { blockSender, withoutTag } from '../blocked-senders.ts'
import type { Events } from '../events.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { Quarantine as QuarantineKind } from '../mail/disposition.ts'
import type { MessageId } from '../mail/message-id.ts'
import { heldQueue } from '../queue/queues.ts'
import type { Queues } from '../queue/queues.ts'
import type { Spool } from '../spool/spool.ts'
import { OperationError } from './operation-error.ts'

/** The copy of one recipient that a filter keeps back. */
export interface HeldCopy {
  readonly id: MessageId
  /** Index into the envelope's recipients. */
  readonly recipient: number
  readonly mailbox: Mailbox
  readonly from: ReversePath
  readonly kind: QuarantineKind
  readonly reason: string
  readonly jobId: string
  /** The queue it comes back to. */
  readonly stage: string
}

/** What a recipient can do with his own copy; those of others stay as they are. */
export interface Quarantine {
  /** Undefined: it is not kept back, or no longer. */
  find(id: MessageId, recipient: number): Promise<HeldCopy | undefined>
  /** Lets it go on past the filter that kept it back. */
  release(copy: HeldCopy, by: string): Promise<void>
  /** Drops it for good, unreported. */
  remove(copy: HeldCopy, by: string): Promise<void>
}

export interface QuarantineParts {
  readonly queues: Pick<Queues, 'jobsOf' | 'releaseOne' | 'removeOne'>
  readonly spool: Pick<Spool, 'settle'>
  readonly events: Pick<Events, 'released' | 'removed'>
  readonly clock: Clock
}

/** The log says it before the queue does: a crash in between loses no copy. Throws QueueUnavailableError while Redis is away. */
export function createQuarantine({ queues, spool, events, clock }: QuarantineParts): Quarantine {
  return {
    async find(id, recipient) {
      const jobs = (await queues.jobsOf(id)).filter(({ queue }) => queue === heldQueue)
      const job = jobs.find(({ data }) => data.held?.quarantine !== undefined && data.rcpt.includes(recipient))
      const mailbox = job?.data.to[job.data.rcpt.indexOf(recipient)]
      const kind = job?.data.held?.quarantine
      if (job?.data.held === undefined || mailbox === undefined || kind === undefined) return undefined
      const { reason, queue: stage } = job.data.held
      return { id, recipient, mailbox, from: job.data.from, kind, reason, jobId: job.jobId, stage }
    },
    async release({ id, recipient, jobId, stage, kind }, by) {
      await spool.settle([{ id, recipient, kind: 'released', stage, at: clock.now(), quarantine: kind }])
      await queues.releaseOne(jobId, recipient)
      events.released({ id, rcpt: [recipient], stage, by })
    },
    async remove({ id, recipient, jobId, stage }, by) {
      await spool.settle([{ id, recipient, kind: 'removed', stage, at: clock.now(), reason: `removed by ${by}` }])
      await queues.removeOne(jobId, recipient)
      events.removed({ id, rcpt: [recipient], by })
    },
  }
}

/** Whose mail is not wanted, and by whom. */
export interface Block {
  readonly dataFolder: string
  readonly from: ReversePath
  readonly recipients: readonly Mailbox[]
  readonly delimiter: string
  readonly at: number
  readonly by: string
}

/** The sender's mail is refused at RCPT for these recipients from now on. @throws OperationError when it has no sender */
export async function blockFor({ dataFolder, from, recipients, delimiter, at, by }: Block): Promise<Mailbox> {
  if (from === null) throw new OperationError('it has no sender: nothing can be blocked')
  for (const recipient of recipients)
    await blockSender(dataFolder, { recipient: withoutTag(recipient, delimiter), sender: from, at, by })
  return from
}
