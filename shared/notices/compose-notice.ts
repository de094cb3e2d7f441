import type { Mailbox } from '../mail/address.ts'
import { encodeQuotedPrintable } from '../mail/dsn-encoding.ts'
import type { MessageId } from '../mail/message-id.ts'

/** A short letter of this server to somebody of its own. */
export interface Notice {
  readonly id: MessageId
  readonly hostname: string
  readonly to: Mailbox
  readonly nowAt: number
  /** Our own words, ASCII. */
  readonly subject: string
  /** Lines; what strangers wrote must be one line each (`readableLine`). */
  readonly lines: readonly string[]
}

/** Nobody answers it: RFC 3834 §5. */
export function composeNotice({ id, hostname, to, nowAt, subject, lines }: Notice): Buffer {
  const header = [
    `Date: ${new Date(nowAt).toUTCString().replace('GMT', '+0000')}`,
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    `Message-ID: <${id}@${hostname}>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(header), encodeQuotedPrintable(Buffer.from(`${lines.join('\r\n')}\r\n`))])
}
