import type { Mailbox } from '../../shared/mail/address.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'

export interface ReceivedParts {
  readonly id: MessageId
  readonly hostname: string
  readonly origin: Origin
  /** EHLO was said, not HELO. */
  readonly extended: boolean
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
  lines.push(`by ${parts.hostname} with ${protocol(parts)}${session(parts)}`)
  lines.push(`id ${parts.id}${parts.recipient === undefined ? '' : `\r\n\tfor <${parts.recipient}>`};`)
  lines.push(dateTime(parts.at))
  return `Received: ${lines.join('\r\n\t')}\r\n`
}

/** A date-time of RFC 5322 §3.3, in UTC. */
export function dateTime(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}

/** Keywords of the IANA registry: ESMTP, S for TLS, A for AUTH (RFC 3848). */
function protocol({ origin, extended }: ReceivedParts): string {
  if (!extended) return 'SMTP'
  return `ESMTP${origin.tls === undefined ? '' : 'S'}${origin.user === undefined ? '' : 'A'}`
}

function session({ origin, showUser }: ReceivedParts): string {
  if (origin.tls === undefined) return ''
  const user = showUser && origin.user !== undefined ? ` auth=yes user=${commentText(origin.user)}` : ''
  return ` (${origin.tls.version} ${origin.tls.cipher}${user})`
}

function tcpInfo(origin: Origin): string {
  const address = origin.address ?? 'local'
  const literal = address.includes(':') ? `[IPv6:${address}]` : `[${address}]`
  return origin.rdns === undefined ? literal : `${origin.rdns} ${literal}`
}

/** Text inside a comment (RFC 5322 §3.2.2). */
function commentText(text: string): string {
  return text.replaceAll(/[()\\]/g, String.raw`\$&`)
}
