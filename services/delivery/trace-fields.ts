import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { fieldValue } from '../../shared/mail/header-edit.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { replies } from '../../shared/mail/reply.ts'

/** `Return-Path` of the final delivery (RFC 5321 §4.4), left out for the null reverse-path as OpenSMTPD does. */
export function returnPathField(reversePath: ReversePath): string {
  return reversePath === null ? '' : `Return-Path: <${reversePath}>\r\n`
}

/** `Delivered-To` with the address that was written to; also the mark the loop check looks for. */
export function deliveredToField(recipient: Recipient): string {
  return `Delivered-To: ${deliveredTo(recipient)}\r\n`
}

/** The refusal when the message was delivered to this recipient before and has come back. */
export function loopReply(fields: readonly HeaderField[], recipient: Recipient): Reply | undefined {
  const marks = new Set([deliveredTo(recipient).toLowerCase(), recipient.mailbox.toLowerCase()])
  const looped = fields.some((field) => field.name === 'delivered-to' && marks.has(fieldValue(field).toLowerCase()))
  return looped
    ? { ...replies.routingLoop, text: 'Mail loop: the message was delivered to this address before' }
    : undefined
}

function deliveredTo({ original, mailbox }: Recipient): Mailbox {
  return original ?? mailbox
}
