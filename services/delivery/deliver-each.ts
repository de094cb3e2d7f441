import { FormatError } from '../../shared/config/format.ts'
import type { LocalAction } from '../../shared/config/model.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { localUser } from './local-user.ts'
import type { LocalUser } from './local-user.ts'
import { messageFields } from './message-fields.ts'
import { loopReply } from './trace-fields.ts'

/** What of its surroundings a delivery on this host uses. */
export type LocalContext = Pick<StageContext, 'configuration' | 'tables' | 'log'>

/** Some recipients of one message, for one action. */
export interface Delivery<Context extends LocalContext = LocalContext> {
  readonly message: StageMessage
  /** Indexes of recipients. */
  readonly pending: readonly number[]
  readonly action: LocalAction
  readonly context: Context
}

/** The message for one recipient. */
export interface Copy {
  /** Of the recipient in the envelope. */
  readonly index: number
  readonly recipient: Recipient
  readonly user: LocalUser
  /** Of the message as it is delivered. */
  readonly fields: readonly HeaderField[]
}

/**
 * Hands each recipient's copy to `store`, all at once; trouble with one does not touch the others. A message that was here
 * before is refused as a loop.
 */
export async function deliverEach(
  { message, pending, context }: Delivery,
  store: (copy: Copy) => Promise<Reply>,
): Promise<readonly DeliveryAttempt[]> {
  const fields = await messageFields(message)

  async function replyFor(index: number): Promise<Reply> {
    const recipient = message.envelope.recipients[index]
    if (recipient === undefined) throw new RangeError(`no recipient ${index}`)
    const looped = loopReply(fields, recipient)
    if (looped !== undefined) return looped
    const user = localUser(recipient.mailbox, context.configuration.subAddressDelimiter)
    try {
      return await store({ index, recipient, user, fields })
    } catch (error) {
      const { id } = message.envelope
      context.log.warn({ id, recipient: recipient.mailbox, err: error }, 'local delivery failed')
      return replyToTrouble(error)
    }
  }

  return Promise.all(
    pending.map(async (index): Promise<DeliveryAttempt> => ({
      recipient: index,
      reply: await replyFor(index),
      reached: 'local',
    })),
  )
}

export const delivered: Reply = { code: 250, enhanced: '2.0.0', text: 'Delivered' }

export const noHome: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The configuration gives the user no home folder: the action needs a userbase, or a path without one',
}

/** Trouble with the disk is for us to mend, so mail waits; the reply names no path. */
function replyToTrouble(error: unknown): Reply {
  if (error instanceof SmtpError) return error.reply
  if (error instanceof FormatError)
    return { code: 550, enhanced: '5.1.3', text: 'The address gives no valid mailbox path' }
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
      return replies.insufficientStorage
    case 'EDQUOT':
      return { code: 452, enhanced: '4.2.2', text: 'The mailbox is full' }
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return {
        code: 451,
        enhanced: '4.3.5',
        text: 'We may not write to the mailbox: its folder has the wrong owner or mode',
      }
    case 'ENOTDIR':
    case 'EEXIST':
      return { code: 451, enhanced: '4.3.5', text: 'The path of the mailbox is not a folder' }
    case 'ENAMETOOLONG':
      return { code: 550, enhanced: '5.1.3', text: 'The address is too long for a mailbox here' }
    case undefined:
      return replies.tryLater
  }
  return replies.tryLater
}
