import { join } from 'node:path'

import { FormatError } from '../../shared/config/format.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { accountOf, ownerFor } from './account.ts'
import type { Owner } from './account.ts'
import { deliverEach, delivered } from './deliver-each.ts'
import type { Delivery } from './deliver-each.ts'
import { MboxWriter } from './mbox.ts'
import { traceFields } from './trace-fields.ts'

/** What of its surroundings the delivery uses. */
export type MboxContext = Pick<StageContext, 'configuration' | 'tables' | 'log' | 'signal'>

/** Appends to the mailbox files of users, one in the folder that `mbox` of pipeline.conf names for each. */
export class MboxDelivery {
  readonly #writer: MboxWriter

  constructor(writer = new MboxWriter()) {
    this.#writer = writer
  }

  deliver(delivery: Delivery<MboxContext>): Promise<readonly DeliveryAttempt[]> {
    const { action, context } = delivery
    return deliverEach(delivery, async ({ recipient, user }) => {
      const { mailboxes } = context.configuration.pipeline
      if (mailboxes === undefined) throw new SmtpError(notDeclared)
      const name = action.user ?? user.name
      const account = await accountOf(name, action, context)
      return this.append(join(mailboxes, fileName(name)), recipient, delivery, ownerFor(account))
    })
  }

  /** Appends the copy of one recipient to a file that no message names. @throws SmtpError or an error of the file system */
  async append(
    path: string,
    recipient: Recipient,
    { message, context }: Delivery<MboxContext>,
    owner: Owner | undefined,
  ): Promise<Reply> {
    const { reversePath, receivedAt } = message.envelope
    const content = await outgoingContent(message.stored, message.edits, traceFields(message.envelope, recipient))
    await this.#writer.append(path, { reversePath, receivedAt, content: content.read() }, context.signal, owner)
    return delivered
  }
}

const notDeclared: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The configuration has no folder of mailboxes: declare it in pipeline.conf with mbox',
}

/** A user name may come from a stranger: it names one file in the folder, which is no lock of another one. */
function fileName(user: string): string {
  if (/^\.|[/\0]|\.lock$/.test(user) || user === '') throw new FormatError(`"${user}" cannot be the name of a mailbox`)
  return user
}
