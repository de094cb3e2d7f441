import { isAbsolute } from 'node:path'

import { FormatError, expandPath } from '../../shared/config/format.ts'
import type { Configuration, LocalAction, Table } from '../../shared/config/model.ts'
import type { UserInfo } from '../../shared/config/tables.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { localUser } from './local-user.ts'
import type { LocalUser } from './local-user.ts'
import { maildirFolder } from './maildir-folder.ts'
import { MaildirWriter } from './maildir.ts'
import type { Owner } from './maildir.ts'
import { messageFields } from './message-fields.ts'
import { deliveredToField, loopReply, returnPathField } from './trace-fields.ts'

type MaildirMethod = LocalAction['method'] & { readonly kind: 'maildir' }

/** What of its surroundings the delivery uses. */
export type MaildirContext = Pick<StageContext, 'configuration' | 'tables' | 'log'>

/** Delivers into Maildirs, one copy for each recipient; trouble with one does not touch the others. */
export class MaildirDelivery {
  readonly #writer = new MaildirWriter()

  async deliver(
    message: StageMessage,
    action: LocalAction,
    method: MaildirMethod,
    context: MaildirContext,
  ): Promise<readonly DeliveryAttempt[]> {
    const fields = await messageFields(message)
    return Promise.all(
      message.pending.map(async (index): Promise<DeliveryAttempt> => {
        const reply = await this.#replyFor(index, { message, action, method, context, fields })
        return { recipient: index, reply, reached: 'local' }
      }),
    )
  }

  async #replyFor(index: number, delivery: Delivery): Promise<Reply> {
    const { message, context } = delivery
    const recipient = message.envelope.recipients[index]
    if (recipient === undefined) throw new RangeError(`no recipient ${index}`)
    const looped = loopReply(delivery.fields, recipient)
    if (looped !== undefined) return looped
    try {
      const outcome = await this.#store(index, recipient, delivery)
      return { code: 250, enhanced: '2.0.0', text: outcome === 'stored' ? 'Delivered' : 'Delivered before' }
    } catch (error) {
      const { id } = message.envelope
      context.log.warn({ id, recipient: recipient.mailbox, err: error }, 'maildir delivery failed')
      return replyToTrouble(error)
    }
  }

  async #store(index: number, recipient: Recipient, delivery: Delivery): Promise<'stored' | 'present'> {
    const { message, action, method, context, fields } = delivery
    const { envelope } = message
    const { configuration } = context
    const user = localUser(recipient.mailbox, configuration.subAddressDelimiter)
    const info = userInfo(action.user ?? user.name, action, context)
    const maildir = maildirPath(method.path, recipient, user, info, delivery)
    const folder = await maildirFolder({
      maildir,
      junk: method.junk,
      fields,
      ...(user.subAddress === undefined ? {} : { subAddress: user.subAddress }),
    })
    const trace = returnPathField(envelope.reversePath) + deliveredToField(recipient)
    const content = await outgoingContent(message.stored, message.edits, trace)
    const name = uniqueName(message, index, configuration)
    return this.#writer.deliver(
      folder,
      { name, content: content.read(), acceptedAt: envelope.receivedAt },
      ownerFor(info),
    )
  }
}

interface Delivery {
  readonly message: StageMessage
  readonly action: LocalAction
  readonly method: MaildirMethod
  readonly context: MaildirContext
  readonly fields: readonly HeaderField[]
}

/** `time.unique.host` of the Maildir convention; what is unique is the message and the recipient, not the attempt. */
function uniqueName({ envelope }: StageMessage, index: number, { hostname }: Configuration): string {
  const seconds = Math.trunc(envelope.receivedAt / 1000)
  return `${seconds}.${envelope.id}R${index}.${hostname.replaceAll(/[^A-Za-z0-9.-]/g, '_')}`
}

/** @throws SmtpError when the user base does not know the user */
function userInfo(name: string, action: LocalAction, { configuration, tables }: MaildirContext): UserInfo | undefined {
  const table = action.userbase ?? passwdTable(configuration)
  if (table === undefined) return undefined
  const info = tables.userInfo(table, name)
  if (info === undefined) throw new SmtpError(replies.invalidRecipient)
  return info
}

function passwdTable({ pipeline }: Configuration): Table | undefined {
  const { users } = pipeline
  if (users.kind !== 'passwd') return undefined
  const at = { file: users.file, line: 1, column: 1 }
  return { name: 'users', source: { kind: 'file', path: users.file, format: 'passwd' }, at }
}

/** @throws SmtpError or FormatError when the path cannot be told */
function maildirPath(
  format: string,
  recipient: Recipient,
  user: LocalUser,
  info: UserInfo | undefined,
  { message, action, context }: Delivery,
): string {
  if (info === undefined && /^~\/|%\{user\.directory/i.test(format)) throw new SmtpError(noHome)
  const path = expandPath(
    format,
    {
      sender: message.envelope.reversePath ?? '',
      rcpt: recipient.original ?? recipient.mailbox,
      dest: recipient.mailbox,
      username: action.user ?? user.name,
      directory: info?.home ?? '',
    },
    context.configuration.subAddressDelimiter,
  )
  // A user name may give `..` together with the text around it; no path with such a step is ever meant.
  if (!isAbsolute(path) || path.includes('\0') || path.split('/').includes('..'))
    throw new FormatError(`bad path "${path}"`)
  return path
}

const noHome: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The configuration gives the user no home folder: the action needs a userbase, or a path without one',
}

/** Only root can give files away. */
function ownerFor(info: UserInfo | undefined): Owner | undefined {
  return info !== undefined && process.getuid?.() === 0 ? { uid: info.uid, gid: info.gid } : undefined
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
