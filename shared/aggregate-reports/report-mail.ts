import type { Mailbox } from '../mail/address.ts'
import { domainOf } from '../mail/address.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { ReportFrame } from './dmarc-xml.ts'
import type { ReportKind } from './facts.ts'

/** A report as it is sent: by mail, or by HTTPS without what is around it. */
export interface PackedReport {
  readonly kind: ReportKind
  readonly frame: ReportFrame
  /** That it is about. */
  readonly domain: string
  readonly from: Mailbox
  /** XML or JSON, by gzip. */
  readonly packed: Buffer
}

/** `application/tlsrpt+gzip`, RFC 8460 §5; DMARC: RFC 7489 §7.2.1.1. */
export const packedTypes = { dmarc: 'application/gzip', tls: 'application/tlsrpt+gzip' } as const

/**
 * The mail with a report. A report on TLS must come through where TLS is what fails (RFC 8460 §3): the sender waives it (RFC 8689 §5).
 */
export function composeReportMail(report: PackedReport, id: MessageId, to: Mailbox, nowAt: number): Buffer {
  const { kind, frame, domain, from, packed } = report
  const submitter = domainOf(from)
  const boundary = `=_${id}`
  const part = kind === 'tls' ? `multipart/report; report-type="tlsrpt"` : 'multipart/mixed'
  const lines = [
    `Date: ${new Date(nowAt).toUTCString().replace('GMT', '+0000')}`,
    `From: "${frame.organisation.replaceAll(/["\\]/g, String.raw`\$&`)}" <${from}>`,
    `To: <${to}>`,
    `Subject: Report Domain: ${domain}\r\n Submitter: ${submitter}\r\n Report-ID: <${frame.reportId}>`,
    `Message-ID: <${id}@${submitter}>`,
    'Auto-Submitted: auto-generated',
    ...(kind === 'tls'
      ? [`TLS-Report-Domain: ${domain}`, `TLS-Report-Submitter: ${submitter}`, 'TLS-Required: No']
      : []),
    'MIME-Version: 1.0',
    `Content-Type: ${part};\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    'Content-Transfer-Encoding: 7bit',
    '',
    ...told(report),
    '',
    `--${boundary}`,
    `Content-Type: ${packedTypes[kind]};\r\n name="${fileName(report)}"`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment;\r\n filename="${fileName(report)}"`,
    '',
    ...(packed.toString('base64').match(/.{1,76}/g) ?? []),
    `--${boundary}--`,
    '',
  ]
  return Buffer.from(lines.join('\r\n'))
}

/** What a person sees who opens it. */
function told({ kind, frame, domain }: PackedReport): readonly string[] {
  const day = new Date(frame.beginAt).toISOString().slice(0, 10)
  const what =
    kind === 'tls'
      ? 'how TLS went with the mail servers of this domain (RFC 8460)'
      : 'what DMARC said of mail with this author domain (RFC 7489)'
  return [
    `Domain: ${domain}`,
    `Day: ${day} (UTC)`,
    `About: ${what}`,
    '',
    'The report is attached. The domain asks for it in the DNS.',
    `Questions: ${frame.contact}`,
  ]
}

/** `receiver!domain!begin!end.xml.gz` (RFC 7489 §7.2.1.1, RFC 8460 §5.1). */
export function fileName({ kind, frame, domain, from }: PackedReport): string {
  const [begin, end] = [Math.trunc(frame.beginAt / 1000), Math.trunc(frame.endAt / 1000) - 1]
  return `${domainOf(from)}!${domain}!${begin}!${end}.${kind === 'tls' ? 'json' : 'xml'}.gz`
}
