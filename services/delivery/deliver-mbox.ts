import { join } from 'node:path'

import { FormatError } from '../../shared/config/format.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { accountOf, ownerFor } from './account.ts'
import { deliverEach, delivered } from './deliver-each.ts'
import type { Delivery } from './deliver-each.ts'
import { MboxWriter } from './mbox.ts'
import { traceFields } from './trace-fields.ts'

/** What of its surroundings the delivery uses. */
export type MboxContext = Pick<StageContext, 'configuration' | 'tables' | 'log' | 'signal'>

/** Appends to the mailbox files of users, one in the folder that `mbox` of pipeline.conf names for each. */
export class MboxDelivery {
  readonly #writer = new MboxWriter()

  deliver(delivery: Delivery<MboxContext>): Promise<readonly DeliveryAttempt[]> {
    const { message, action, context } = delivery
    const { envelope } = message
    return deliverEach(delivery, async ({ recipient, user }) => {
      const { mailboxes } = context.configuration.pipeline
      if (mailboxes === undefined) throw new SmtpError(notDeclared)
      const name = action.user ?? user.name
      const account = accountOf(name, action, context)
      const path = join(mailboxes, fileName(name))
      const content = await outgoingContent(message.stored, message.edits, traceFields(envelope, recipient))
      const { reversePath, receivedAt } = envelope
      const parts = { reversePath, receivedAt, content: content.read() }
      await this.#writer.append(path, parts, context.signal, ownerFor(account))
      return delivered
    })
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
