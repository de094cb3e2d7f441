import { isAbsolute } from 'node:path'

import { FormatError, expandPath } from '../../shared/config/format.ts'
import type { Configuration, LocalAction } from '../../shared/config/model.ts'
import type { UserInfo } from '../../shared/config/tables.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { accountOf, ownerFor } from './account.ts'
import { deliverEach, delivered, noHome } from './deliver-each.ts'
import type { Copy, Delivery } from './deliver-each.ts'
import { maildirFolder } from './maildir-folder.ts'
import { MaildirWriter } from './maildir.ts'
import { traceFields } from './trace-fields.ts'

type MaildirMethod = LocalAction['method'] & { readonly kind: 'maildir' }

/** Delivers into Maildirs, one copy for each recipient. */
export class MaildirDelivery {
  readonly #writer = new MaildirWriter()

  deliver(delivery: Delivery, method: MaildirMethod): Promise<readonly DeliveryAttempt[]> {
    return deliverEach(delivery, async (copy) => {
      const outcome = await this.#store(copy, delivery, method)
      return outcome === 'stored' ? delivered : { ...delivered, text: 'Delivered before' }
    })
  }

  async #store(copy: Copy, delivery: Delivery, method: MaildirMethod): Promise<'stored' | 'present'> {
    const { message, action, context } = delivery
    const { envelope } = message
    const { recipient, user, fields } = copy
    const account = await accountOf(action.user ?? user.name, action, context)
    const maildir = maildirPath(method.path, copy, account, delivery)
    const folder = await maildirFolder({
      maildir,
      junk: method.junk,
      fields,
      ...(user.subAddress === undefined ? {} : { subAddress: user.subAddress }),
    })
    const content = await outgoingContent(message.stored, message.edits, traceFields(envelope, recipient))
    const name = uniqueName(message, copy.index, context.configuration)
    return this.#writer.deliver(
      folder,
      { name, content: content.read(), acceptedAt: envelope.receivedAt },
      ownerFor(account),
    )
  }
}

/** `time.unique.host` of the Maildir convention; what is unique is the message and the recipient, not the attempt. */
function uniqueName({ envelope }: StageMessage, index: number, { hostname }: Configuration): string {
  const seconds = Math.trunc(envelope.receivedAt / 1000)
  return `${seconds}.${envelope.id}R${index}.${hostname.replaceAll(/[^A-Za-z0-9.-]/g, '_')}`
}

/** @throws SmtpError or FormatError when the path cannot be told */
function maildirPath(
  format: string,
  { recipient, user }: Copy,
  account: UserInfo | undefined,
  { message, action, context }: Delivery,
): string {
  if (account === undefined && /^~\/|%\{user\.directory/i.test(format)) throw new SmtpError(noHome)
  const path = expandPath(
    format,
    {
      sender: message.envelope.reversePath ?? '',
      rcpt: recipient.original ?? recipient.mailbox,
      dest: recipient.mailbox,
      username: action.user ?? user.name,
      directory: account?.home ?? '',
    },
    context.configuration.subAddressDelimiter,
  )
  // A user name may give `..` together with the text around it; no path with such a step is ever meant.
  if (!isAbsolute(path) || path.includes('\0') || path.split('/').includes('..'))
    throw new FormatError(`bad path "${path}"`)
  return path
}
