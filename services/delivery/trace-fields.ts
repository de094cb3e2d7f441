import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import type { Envelope, Recipient } from '../../shared/mail/envelope.ts'
import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { fieldValue } from '../../shared/mail/header-edit.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { replies } from '../../shared/mail/reply.ts'

/** What a delivery on this host writes on top: who sent it, whom it was written to. */
export function traceFields(envelope: Pick<Envelope, 'reversePath'>, recipient: Recipient): string {
  return returnPathField(envelope.reversePath) + recipientFields(recipient)
}

/**
 * `Delivered-To` with the address that was written to; also the mark the loop check looks for. `X-Original-To` says it again
 * when an alias has changed it, for programs that look there.
 */
export function recipientFields({ original, mailbox }: Recipient): string {
  const changed = original !== undefined && original !== mailbox
  return `Delivered-To: ${original ?? mailbox}\r\n${changed ? `X-Original-To: ${original}\r\n` : ''}`
}

/** `Return-Path` of the final delivery (RFC 5321 §4.4), left out for the null reverse-path as OpenSMTPD does. */
function returnPathField(reversePath: ReversePath): string {
  return reversePath === null ? '' : `Return-Path: <${reversePath}>\r\n`
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
