import type { HeaderEdit } from './header-edit.ts'
import type { MessageId } from './message-id.ts'
import { structureOf } from './mime-boundaries.ts'
import { partFields } from './mime-fields.ts'

/** What mail programs show and what loops are known by; all else of the header is in the attached message alone. */
const kept: readonly string[] = `received delivered-to x-sluice-hops tls-required auto-submitted precedence list-id
from sender to cc reply-to subject date message-id in-reply-to references`.split(/\s/)

const mark = '=_sluice_report_'

/**
 * Attaches a message as it came to a report (message/rfc822, RFC 2046 §5.2.1), so that nothing of it is shown or fetched before somebody opens it.
 * @param report lines of US-ASCII, of less than 998 characters
 */
export function safeReport(
  id: MessageId,
  report: readonly string[],
  { eightBit = false }: { readonly eightBit?: boolean | undefined } = {},
): HeaderEdit {
  // Whoever wrote the message could not know its id.
  const boundary = `${mark}${id}`
  const encoding = `Content-Transfer-Encoding: ${eightBit ? '8bit' : '7bit'}`
  return {
    kind: 'wrap',
    keep: kept,
    fields: `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="${boundary}"\r\n${encoding}\r\n`,
    before: [
      `--${boundary}`,
      'Content-Type: text/plain; charset=us-ascii',
      'Content-Disposition: inline',
      '',
      ...report,
      `--${boundary}`,
      'Content-Type: message/rfc822',
      'Content-Disposition: attachment; filename="message.eml"',
      encoding,
      '',
      '',
    ].join('\r\n'),
    after: `\r\n--${boundary}--\r\n`,
  }
}

/**
 * The message that is attached to a report of ours, and any other message as it is: what is learned is learned of the message itself.
 * At rest lines may end in LF alone.
 */
export function withoutReport(content: Buffer): Buffer {
  const header =
    content
      .subarray(0, mostHeaderBytes)
      .toString('latin1')
      .split(/\r?\n\r?\n/, 1)[0] ?? ''
  const [boundary = ''] = structureOf(partFields(header)).boundaries
  if (!boundary.startsWith(mark)) return content
  const report = content.indexOf(`--${boundary}`, header.length)
  const part = content.indexOf(`\n--${boundary}`, report + 1)
  const end = content.lastIndexOf(`\n--${boundary}--`)
  const fields = /\r?\n\r?\n/.exec(content.toString('latin1', part + 1, part + mostPartHeaderBytes))
  if (report < 0 || part < 0 || end <= part || fields === null) return content
  const lineEnd = content[end - 1] === 0x0d ? end - 1 : end
  return content.subarray(part + 1 + fields.index + fields[0].length, lineEnd)
}

/** A longer header is none of ours. */
const mostHeaderBytes = 1_048_576
const mostPartHeaderBytes = 1_024
