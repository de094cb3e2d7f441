import { MimeScanner } from '../../shared/mail/mime-scanner.ts'
import type { MimeEntity } from '../../shared/mail/mime-scanner.ts'
import { parameters, partFields } from '../../shared/mail/mime-fields.ts'
import { decodeQuotedPrintable } from '../../shared/mail/quoted-printable.ts'

/** A part of a message that could be a report. */
export interface MailPart {
  /** In lower case; empty: not stated. */
  readonly type: string
  /** In lower case; empty: it has none. */
  readonly fileName: string
  /** Without transfer encoding. */
  readonly octets: Buffer
}

const mostParts = 100

/** The parts of a message that are no multiparts, in order; those of messages in it too. Never throws, whatever the octets are. */
export function partsOf(content: Buffer): readonly MailPart[] {
  const parts: MailPart[] = []
  let current: { readonly entity: MimeEntity; readonly fileName: string } | undefined
  let body: Buffer[] = []
  const endPart = (): void => {
    if (current !== undefined && parts.length < mostParts) parts.push(partOf(current, Buffer.concat(body)))
    current = undefined
    body = []
  }
  const scanner = new MimeScanner({
    section: (section, entity) => {
      endPart()
      if (entity.kind === 'leaf') current = { entity, fileName: fileNameOf(section.toString('latin1')) }
    },
    body: (octets) => body.push(octets),
    between: () => endPart(),
    boundary: () => endPart(),
  })
  scanner.push(content)
  scanner.end()
  endPart()
  return parts
}

function partOf(
  { entity, fileName }: { readonly entity: MimeEntity; readonly fileName: string },
  body: Buffer,
): MailPart {
  return { type: entity.type, fileName, octets: decoded(body, entity.encoding) }
}

function decoded(body: Buffer, encoding: string): Buffer {
  if (encoding === 'base64') return Buffer.from(body.toString('latin1'), 'base64')
  return encoding === 'quoted-printable' ? decodeQuotedPrintable(body.toString('latin1')) : body
}

function fileNameOf(section: string): string {
  for (const wanted of ['content-disposition', 'content-type']) {
    const value = partFields(section).find(({ name }) => name === wanted)?.value ?? ''
    const names = parameters(value)
    const found = names.get('filename')?.[0] ?? names.get('name')?.[0]
    if (found !== undefined) return found.toLowerCase()
  }
  return ''
}
