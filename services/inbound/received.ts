import { isAscii } from '../../shared/mail/ascii-domain.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'

export interface ReceivedParts {
  readonly id: MessageId
  readonly hostname: string
  readonly origin: Origin
  /** EHLO was said, not HELO. */
  readonly extended: boolean
  /** MAIL asked for SMTPUTF8. */
  readonly smtpUtf8?: boolean
  /** The only recipient; absent when there are several, so that none learns of the others (RFC 5321 §7.6). */
  readonly recipient?: Mailbox
  /** mask-src: where it came from stays out. */
  readonly maskSource: boolean
  /** received-auth: the user name goes in. */
  readonly showUser: boolean
  /** Epoch ms. */
  readonly at: number
}

/** The Received field of this hop (RFC 5321 §4.4), folded, with its CR LF. */
export function receivedField(parts: ReceivedParts): string {
  const { origin } = parts
  const lines = []
  if (!parts.maskSource) lines.push(`from ${origin.helo ?? 'unknown'} (${tcpInfo(origin)})`)
  if (parts.showUser && origin.user !== undefined) lines.push(`(Authenticated sender: ${commentText(origin.user)})`)
  lines.push(`by ${parts.hostname} with ${protocol(parts)}${session(parts)}`)
  lines.push(`id ${parts.id}${recipientClause(parts.recipient)};`)
  lines.push(dateTime(parts.at))
  return `Received: ${lines.join('\r\n\t')}\r\n`
}

/** A date-time of RFC 5322 §3.3, in UTC. */
export function dateTime(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}

/** An address beyond ASCII stays out: a header that was ASCII must still go to hosts without SMTPUTF8. */
function recipientClause(recipient: Mailbox | undefined): string {
  return recipient === undefined || !isAscii(recipient) ? '' : `\r\n\tfor <${recipient}>`
}

/** Keywords of the IANA registry: ESMTP or UTF8SMTP (RFC 6531 §4.3), S for TLS, A for AUTH (RFC 3848). */
function protocol({ origin, extended, smtpUtf8 }: ReceivedParts): string {
  if (!extended) return 'SMTP'
  return `${smtpUtf8 === true ? 'UTF8SMTP' : 'ESMTP'}${origin.tls === undefined ? '' : 'S'}${origin.user === undefined ? '' : 'A'}`
}

function session({ origin }: ReceivedParts): string {
  return origin.tls === undefined ? '' : ` (${origin.tls.version} ${origin.tls.cipher})`
}

function tcpInfo(origin: Origin): string {
  const address = origin.address ?? 'local'
  const literal = address.includes(':') ? `[IPv6:${address}]` : `[${address}]`
  return origin.rdns === undefined ? literal : `${origin.rdns} ${literal}`
}

/** Text inside a comment (RFC 5322 §3.2.2); a name in other letters must not make the message one of SMTPUTF8. */
function commentText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, '?').replaceAll(/[()\\]/g, String.raw`\$&`)
}
