import type { EightBitRule } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { isAscii } from '../../shared/mail/ascii-domain.ts'
import { editMessage } from '../../shared/mail/header-edit.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import type { ForwardPath } from '../../shared/smtp-client/commands.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import type { Transaction } from '../../shared/smtp-client/transaction.ts'
import type { SenderPart } from './sender.ts'
import { sevenBitOf } from './seven-bit-of.ts'

/** The message as it goes out to these recipients; the same for every host that is tried. */
export async function composeTransaction(
  message: StageMessage,
  part: SenderPart,
  eightBit: EightBitRule,
): Promise<Transaction> {
  const { envelope } = message
  const { reversePath } = part
  const recipients = part.pending.map((index) => forwardPathOf(message, index))
  const content = await outgoingContent(message.stored, message.edits)
  return {
    mail: {
      reversePath,
      sizeBytes: content.sizeBytes,
      eightBit: envelope.eightBit === true,
      smtpUtf8: !isAscii(reversePath ?? '') || (await headerNeedsUtf8(message)),
      ...(envelope.requireTls === true ? { requireTls: true } : {}),
      ...(envelope.dsn === undefined ? {} : { dsn: envelope.dsn }),
    },
    recipients,
    content: content.read,
    ...(eightBit === 'unchanged' ? {} : { sevenBit: sevenBitOf(content, eightBit) }),
  }
}

function forwardPathOf({ envelope }: StageMessage, index: number): ForwardPath {
  const recipient = envelope.recipients[index]
  if (recipient === undefined) throw new RangeError(`no recipient ${index}`)
  const { mailbox, notify, orcpt } = recipient
  return {
    address: mailbox satisfies Mailbox,
    ...(notify === undefined ? {} : { notify }),
    ...(orcpt === undefined ? {} : { orcpt }),
  }
}

/** Many clients say SMTPUTF8 with every message; it is passed on where the header makes it necessary (RFC 6531 §3.2). */
async function headerNeedsUtf8(message: StageMessage): Promise<boolean> {
  if (message.envelope.smtputf8 !== true) return false
  const { header, before } = editMessage(await message.stored.header(), message.edits)
  return !isAscii(header.toString('latin1')) || !isAscii(before.toString('latin1'))
}
