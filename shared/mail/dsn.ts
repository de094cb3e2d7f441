import { isAscii } from './ascii-domain.ts'
import type { Mailbox } from './address.ts'
import { explain, headline } from './dsn-text.ts'
import { encodeQuotedPrintable, foldDiagnostic, isEightBit, isSevenBit, xtextAddress } from './dsn-encoding.ts'
import type { Recipient } from './envelope.ts'
import { fieldValue, headerFields } from './header-edit.ts'
import type { MessageId } from './message-id.ts'
import type { Reply } from './reply.ts'
import { formatReply, statusOf } from './reply.ts'

/** What a report says happened (RFC 3464 §2.3.3). */
export type DsnAction = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded'

export interface DsnRecipient {
  readonly mailbox: Mailbox
  /** The forward-path the sender wrote, when expansion changed it. */
  readonly original?: Mailbox | undefined
  /** In xtext form, with its address type. */
  readonly orcpt?: string | undefined
  readonly reply: Reply
  /** The host that answered, `mx.example.org[192.0.2.1]:25`. */
  readonly remoteMta?: string | undefined
  readonly lastAttemptAt: number
}

/** The message a report is about. */
export interface DsnOriginal {
  readonly id: MessageId
  /** The sender, who gets the report; the null reverse-path gets none (RFC 5321 §4.5.5). */
  readonly reversePath: Mailbox
  readonly receivedAt: number
  /** In xtext form. */
  readonly envid?: string | undefined
  /** Header section with its closing empty line. */
  readonly header: Buffer
  /** Given when the whole message is to be returned (RET=FULL). */
  readonly body?: Buffer | undefined
}

export interface DsnReport {
  readonly action: DsnAction
  /** Id of the report itself; its Message-ID and boundary come from it, so that equal inputs give equal octets. */
  readonly id: MessageId
  readonly hostname: string
  readonly nowAt: number
  readonly original: DsnOriginal
  readonly recipients: readonly DsnRecipient[]
  /** For `delayed`: when we give up. */
  readonly willRetryUntil?: number | undefined
}

/** Whether this recipient's NOTIFY asks for such a report; failure and delay when nothing was asked (RFC 3461 §4.1). */
export function wantsReport(recipient: Recipient, kind: 'failure' | 'delay' | 'success'): boolean {
  const { notify } = recipient
  if (notify === undefined || notify.length === 0) return kind !== 'success'
  return notify.includes(kind)
}

/**
 * A complete delivery status notification (RFC 3464 in a multipart/report of RFC 6522): words for the sender, fields for
 * programs, and the message or its header section. CRLF line ends and 7-bit throughout; a message that is not 7-bit is represented by
 * its header section. A sender whose own address is not ASCII gets the forms of RFC 6533 instead, in UTF-8: no host could bring him
 * the report without SMTPUTF8 anyway.
 */
export function composeDsn(report: DsnReport): Buffer {
  const global = !isAscii(report.original.reversePath)
  const original = global ? globalOriginalPart(report.original) : originalPart(report.original)
  const parts = [humanPart(report), statusPart(report, global), original]
  const boundary = unusedBoundary(report.id, parts)
  const pieces: Buffer[] = [Buffer.from(headerOf(report, boundary))]
  for (const part of parts) pieces.push(Buffer.from(`--${boundary}\r\n`), part)
  pieces.push(Buffer.from(`--${boundary}--\r\n`))
  return Buffer.concat(pieces)
}

function headerOf({ action, id, hostname, nowAt, original }: DsnReport, boundary: string): string {
  const messageId = idField(original.header, 'message-id')
  const references = [idField(original.header, 'references'), messageId].filter((ids) => ids !== undefined).join(' ')
  const lines = [
    `Date: ${formatDate(nowAt)}`,
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${original.reversePath}>`,
    `Subject: ${headline(action)}`,
    `Message-ID: <${id}@${hostname}>`,
    ...(messageId === undefined ? [] : [`In-Reply-To: ${messageId}`]),
    ...(references === '' ? [] : [`References: ${references.replaceAll(' ', '\r\n ')}`]),
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${isAscii(original.reversePath) ? '' : 'global-'}delivery-status;`,
    ` boundary="${boundary}"`,
    '',
    'This is a delivery status notification in MIME format (RFC 3464).',
    '',
    '',
  ]
  return lines.join('\r\n')
}

function humanPart(report: DsnReport): Buffer {
  const text = Buffer.from(explain(report, formatDate))
  if (isSevenBit(text)) return part(['Content-Type: text/plain; charset=us-ascii'], text)
  return part(
    ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable'],
    encodeQuotedPrintable(text),
  )
}

/** Fields of RFC 3464 §2.2 (message) and §2.3 (each recipient). */
function statusPart(report: DsnReport, global: boolean): Buffer {
  const { hostname, original, recipients } = report
  const message = [
    `Reporting-MTA: dns; ${hostname}`,
    ...(original.envid === undefined ? [] : [`Original-Envelope-Id: ${xtextDecoded(original.envid)}`]),
    `Arrival-Date: ${formatDate(original.receivedAt)}`,
    `X-Sluice-Message-Id: ${original.id}`,
  ]
  const groups = [message, ...recipients.map((recipient) => recipientFields(report, recipient))]
  const text = groups.map((fields) => `${fields.join('\r\n')}\r\n`).join('\r\n')
  return global
    ? part(
        ['Content-Type: message/global-delivery-status', 'Content-Transfer-Encoding: 8bit'],
        Buffer.from(unescaped(text)),
      )
    : part(['Content-Type: message/delivery-status'], Buffer.from(text))
}

/** The characters that `xtextAddress` escaped, as message/global-delivery-status has them. */
function unescaped(text: string): string {
  return text.replaceAll(/\\x\{(0*[1-9A-F][0-9A-F]{1,5})\}/g, (escaped: string, hex: string) => {
    const point = Number.parseInt(hex, 16)
    const surrogate = point >= 0xd800 && point <= 0xdfff
    return point < 0xa0 || point > 0x10ffff || surrogate ? escaped : String.fromCodePoint(point)
  })
}

function recipientFields({ action, willRetryUntil }: DsnReport, recipient: DsnRecipient): string[] {
  const { reply } = recipient
  const original = originalRecipient(recipient)
  const remote = remoteName(recipient.remoteMta)
  return [
    ...(original === undefined ? [] : [`Original-Recipient: ${original}`]),
    `Final-Recipient: ${typedAddress(recipient.mailbox)}`,
    `Action: ${action}`,
    `Status: ${statusOf(reply)}`,
    ...(remote === undefined ? [] : [`Remote-MTA: dns; ${remote}`]),
    `Diagnostic-Code: smtp; ${foldDiagnostic(formatReply(reply))}`,
    `Last-Attempt-Date: ${formatDate(recipient.lastAttemptAt)}`,
    ...(action === 'delayed' && willRetryUntil !== undefined
      ? [`Will-Retry-Until: ${formatDate(willRetryUntil)}`]
      : []),
  ]
}

/** RET=FULL as message/rfc822 when every octet may stand in a 7-bit message, otherwise the header section alone. */
function originalPart({ header, body }: DsnOriginal): Buffer {
  if (body !== undefined && isSevenBit(header) && isSevenBit(body))
    return part(['Content-Type: message/rfc822'], Buffer.concat([header, body]))
  const fields = header.subarray(-4).equals(Buffer.from('\r\n\r\n')) ? header.subarray(0, -2) : header
  if (isSevenBit(fields)) return part(['Content-Type: text/rfc822-headers'], fields)
  return part(
    ['Content-Type: text/rfc822-headers; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable'],
    encodeQuotedPrintable(fields),
  )
}

/** As message/global, or its header section, when it is UTF-8 with lines of a length that may stand in an 8-bit message. */
function globalOriginalPart({ header, body, ...rest }: DsnOriginal): Buffer {
  const encoding = 'Content-Transfer-Encoding: 8bit'
  if (body !== undefined && isEightBit(header) && isEightBit(body))
    return part(['Content-Type: message/global', encoding], Buffer.concat([header, body]))
  const fields = header.subarray(-4).equals(Buffer.from('\r\n\r\n')) ? header.subarray(0, -2) : header
  if (isEightBit(fields)) return part(['Content-Type: message/global-headers', encoding], fields)
  return originalPart({ header, ...rest })
}

/** The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1): one more than the content has. */
function part(fields: readonly string[], content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${fields.join('\r\n')}\r\n\r\n`), content, Buffer.from('\r\n')])
}

function unusedBoundary(id: MessageId, parts: readonly Buffer[]): string {
  let boundary = `=_${id}`
  for (let count = 1; parts.some((content) => content.includes(boundary)); count++) boundary = `=_${id}_${count}`
  return boundary
}

function originalRecipient({ orcpt, original }: DsnRecipient): string | undefined {
  if (orcpt !== undefined) {
    const [, type = 'rfc822', address = orcpt] = /^([^;]*);(.*)$/s.exec(orcpt) ?? []
    return `${type}; ${xtextDecoded(address)}`
  }
  return original === undefined ? undefined : typedAddress(original)
}

/** RFC 3464 §2.3.2; an address beyond ASCII is of type utf-8 in the escaped form of RFC 6533 §3. */
function typedAddress(mailbox: Mailbox): string {
  const text = xtextAddress(mailbox)
  return text === mailbox ? `rfc822; ${mailbox}` : `utf-8; ${text}`
}

/** Decodes xtext (RFC 3461 §4) unless that would put a control or 8-bit character into the field. */
function xtextDecoded(text: string): string {
  const decoded = text.replaceAll(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return /^[\x20-\x7e]*$/.test(decoded) ? decoded : text
}

/** The host of `mx.example.org[192.0.2.1]:25`; nothing for the path of a socket, which is nobody's business. */
function remoteName(remoteMta: string | undefined): string | undefined {
  const [, name = '', address] = /^([^[\]/\s]*)(\[[^\]]+\])?(?::\d+)?$/.exec(remoteMta ?? '/') ?? []
  return name === '' ? address : name
}

/** Message ids of a field, when they look like ids; at most the last ten. */
function idField(header: Buffer, name: string): string | undefined {
  const field = headerFields(header).find((candidate) => candidate.name === name)
  if (field === undefined) return undefined
  const ids = fieldValue(field).match(/<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>/g)
  return ids === null ? undefined : ids.slice(-10).join(' ')
}

/** RFC 5322 §3.3, in universal time. */
function formatDate(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}
