import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { DsnRequest, Notify } from '../mail/envelope.ts'
import type { Capabilities } from './capabilities.ts'

/** A forward-path for RCPT: a mailbox, or a bare user name that an LMTP server knows without a domain. */
export interface ForwardPath {
  readonly address: string
  readonly notify?: readonly Notify[]
  /** In xtext form. */
  readonly orcpt?: string
}

/** What MAIL says about a message. */
export interface MailParameters {
  readonly reversePath: ReversePath
  readonly sizeBytes: number
  readonly eightBit: boolean
  /** The reverse-path or the header section needs RFC 6531; forward-paths are looked at one by one. */
  readonly smtpUtf8: boolean
  /** Goes only over TLS with a certificate that is trusted, to a server that offers REQUIRETLS (RFC 8689). */
  readonly requireTls?: boolean
  readonly dsn?: DsnRequest
}

/** MAIL with the parameters the server offers, CRLF included. */
export function mailCommand(mail: MailParameters, offered: Capabilities): string {
  let command = `MAIL FROM:<${mail.reversePath ?? ''}>`
  if (offered.size) command += ` SIZE=${mail.sizeBytes}`
  if (mail.eightBit && offered.eightBitMime) command += ' BODY=8BITMIME'
  if (mail.smtpUtf8 && offered.smtpUtf8) command += ' SMTPUTF8'
  if (mail.requireTls === true && offered.requireTls) command += ' REQUIRETLS'
  if (offered.dsn && mail.dsn?.ret !== undefined) command += ` RET=${mail.dsn.ret.toUpperCase()}`
  if (offered.dsn && mail.dsn?.envid !== undefined) command += ` ENVID=${mail.dsn.envid}`
  return commandLine(command)
}

/** RCPT with the parameters the server offers, CRLF included. */
export function rcptCommand(path: ForwardPath, offered: Capabilities): string {
  let command = `RCPT TO:<${path.address}>`
  if (offered.dsn && path.notify !== undefined && path.notify.length > 0)
    command += ` NOTIFY=${path.notify.join(',').toUpperCase()}`
  if (offered.dsn && path.orcpt !== undefined) command += ` ORCPT=${path.orcpt}`
  return commandLine(command)
}

/**
 * One command line. A control character in it could smuggle a second command: that is never expected here.
 * @throws RangeError
 */
export function commandLine(text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) throw new RangeError('an SMTP command with a control character')
  return `${text}\r\n`
}

/** The mailbox as RCPT takes it. */
export function forwardPath(mailbox: Mailbox): ForwardPath {
  return { address: mailbox }
}
