import type { Listener } from '../../shared/config/model.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import type { Envelope, Origin, Recipient } from '../../shared/mail/envelope.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { Tag } from '../../shared/mail/tag.ts'
import type { Span } from '../../shared/tracing/span.ts'
import type { HeaderFacts } from './header-watch.ts'
import type { MailCommand } from './mail-command.ts'
import { dateTime, receivedField } from './received.ts'

/** A mail transaction (RFC 5321 §3.3), from MAIL to the end of DATA. */
export interface Transaction {
  readonly id: MessageId
  /** As `canonical` and `masquerade` write it; `mail` has what the client said. */
  readonly reversePath: ReversePath
  readonly mail: MailCommand
  readonly origin: Origin
  /** In order of RCPT and expansion, each mailbox once. */
  readonly recipients: Recipient[]
  readonly copies: Set<string>
  /** Forward-paths accepted, before expansion. */
  readonly forwardPaths: Set<Mailbox>
  /** Absent: it is not traced. */
  readonly span?: Span
}

/** The transaction as the rules see it: so far, at RCPT, and complete at acceptance. */
export function envelopeOf(transaction: Transaction, listener: Listener, receivedAt: number): Envelope {
  const { mail, span } = transaction
  return {
    id: transaction.id,
    reversePath: transaction.reversePath,
    recipients: transaction.recipients,
    tags: tagsOf(listener),
    origin: transaction.origin,
    receivedAt,
    ...(mail.dsn === undefined ? {} : { dsn: mail.dsn }),
    ...(mail.eightBit ? { eightBit: true } : {}),
    ...(mail.smtpUtf8 ? { smtputf8: true } : {}),
    ...(mail.requireTls === true ? { requireTls: true } : {}),
    ...(mail.releaseAt === undefined ? {} : { releaseAt: mail.releaseAt }),
    ...(span === undefined ? {} : { trace: span.traceParent }),
  }
}

/** Those a message has when it comes in. */
export function tagsOf(listener: Listener): readonly Tag[] {
  return listener.tag === undefined ? [] : [tag(listener.tag)]
}

/**
 * What acceptance does to the header section: our Received field on top; strangers' Return-Path goes (RFC 5321 §4.4, only
 * final delivery writes it); on submission Date and Message-ID are added when missing and Bcc goes (RFC 6409 §8). With
 * `senders ... masquerade` a From field that does not name the sender is replaced.
 */
export function acceptanceEdits(parts: {
  readonly transaction: Transaction
  readonly listener: Listener
  readonly hostname: string
  readonly facts: HeaderFacts
  /** Of `traceFields`; empty when the content begins with them. */
  readonly trace: string
  readonly at: number
}): HeaderEdit[] {
  const { transaction, listener, hostname, facts, trace, at } = parts
  const edits: HeaderEdit[] = []
  if (facts.names.has('return-path')) edits.push({ kind: 'remove', name: 'Return-Path' })
  let fields = ''
  if (transaction.origin.user !== undefined) {
    if (facts.names.has('bcc')) edits.push({ kind: 'remove', name: 'Bcc' })
    if (listener.senders?.masquerade === true && !namesSender(facts, transaction.mail.reversePath))
      edits.push({ kind: 'replace', name: 'From', field: `From: <${transaction.reversePath}>\r\n` })
    if (!facts.names.has('date')) fields += `Date: ${dateTime(at)}\r\n`
    if (!facts.names.has('message-id')) fields += `Message-ID: <${transaction.id}@${hostname}>\r\n`
  }
  if (trace !== '' || fields !== '') edits.push({ kind: 'prepend', fields: `${trace}${fields}` })
  return edits
}

/** Our Received field, and above it the mark of the session's filters. */
export function traceFields(parts: {
  readonly transaction: Transaction
  readonly listener: Listener
  readonly hostname: string
  readonly extended: boolean
  /** A filter of the session called it junk. */
  readonly junk: boolean
  readonly at: number
}): string {
  const { transaction, listener, hostname, extended, junk, at } = parts
  const [recipient, ...others] = transaction.forwardPaths
  const received = receivedField({
    id: transaction.id,
    hostname,
    origin: transaction.origin,
    extended,
    smtpUtf8: transaction.mail.smtpUtf8,
    ...(recipient === undefined || others.length > 0 ? {} : { recipient }),
    maskSource: listener.maskSource,
    showUser: listener.receivedAuth,
    at,
  })
  return junk ? `X-Spam: Yes\r\n${received}` : received
}

/** One address (RFC 5322 §3.4), with or without a name before it. */
const oneAddress = /^(?:(?:"(?:[^"\\]|\\.)*"|[^<>",:;@])*<([^<>]*)>|([^<>",:;\s]+))$/

/** The From field has the sender's address and no other; what is not understood does not name the sender. */
function namesSender(facts: HeaderFacts, reversePath: ReversePath): boolean {
  if (reversePath === null) return true
  const [, named, bare] = oneAddress.exec((facts.from ?? '').replaceAll('\r\n', '').trim()) ?? []
  return (named ?? bare)?.trim().toLowerCase() === reversePath.toLowerCase()
}
