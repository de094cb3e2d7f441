import { decodeQuotedPrintable } from '../mail/quoted-printable.ts'
import { htmlText } from './html-text.ts'
import type { HtmlText } from './html-text.ts'

/** What of a message a reader sees, and what his program sees: the material of the features. */
export interface ReadableMail {
  readonly fields: readonly MailField[]
  readonly texts: readonly ReadableText[]
  /** Of all parts but the multiparts, in order. */
  readonly parts: readonly ReadablePart[]
}

export interface MailField {
  /** In lower case. */
  readonly name: string
  /** Unfolded, encoded words decoded. */
  readonly value: string
}

export interface ReadableText {
  readonly text: string
  /** Absent for plain text. */
  readonly html?: HtmlText['html']
}

export interface ReadablePart {
  /** `text/html`, in lower case. */
  readonly type: string
  /** In lower case; empty when there is none. */
  readonly extension: string
}

/** Beyond these a message is no letter; the rest tells nothing that the beginning does not. */
export const mostReadBytes = 1_048_576
const mostParts = 200
const mostDepth = 10
const mostFields = 500
const mostFieldLength = 4_096
const mostTextLength = 131_072

interface Reading {
  readonly texts: ReadableText[]
  readonly parts: ReadablePart[]
  /** Characters that may still be read. */
  left: number
}

/** Reads a message as mail programs do. Never throws, whatever the octets are; its time is bounded by the limits above. */
export function readMail(content: Buffer): ReadableMail {
  const raw = content.toString('latin1', 0, mostReadBytes)
  const reading: Reading = { texts: [], parts: [], left: mostTextLength }
  const { fields, body } = split(raw)
  readPart(fields, body, reading, 0)
  return {
    fields: fields.map(({ name, value }) => ({ name, value: decodeWords(value) })),
    texts: reading.texts,
    parts: reading.parts,
  }
}

const mostLinks = 300

/** What is linked to, as it is written: in the text by http or www, in markup by anything. */
export function linksOf({ texts }: ReadableMail): readonly string[] {
  return texts.flatMap(({ text, html }) => [
    ...(text.match(/\b(?:https?:\/\/|www\.)[^\s<>"')\]]{1,300}/gi)?.slice(0, mostLinks) ?? []),
    ...(html?.links ?? []),
  ])
}

interface Section {
  readonly fields: readonly MailField[]
  readonly body: string
}

/** A section that begins with an empty line has no fields. */
function split(section: string): Section {
  if (section.startsWith('\n')) return { fields: [], body: section.slice(1) }
  if (section.startsWith('\r\n')) return { fields: [], body: section.slice(2) }
  const end = /\r?\n\r?\n/.exec(section)
  if (end === null) return { fields: fieldsOf(section), body: '' }
  return { fields: fieldsOf(section.slice(0, end.index)), body: section.slice(end.index + end[0].length) }
}

function fieldsOf(section: string): readonly MailField[] {
  const fields: { name: string; value: string }[] = []
  for (const line of section.split(/\r?\n/)) {
    if (line.startsWith(' ') || line.startsWith('\t')) {
      const last = fields.at(-1)
      if (last !== undefined && last.value.length < mostFieldLength) last.value += ` ${line.trim()}`
      continue
    }
    const colon = line.indexOf(':')
    if (colon < 1) continue
    if (fields.length >= mostFields) break
    fields.push({ name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() })
  }
  return fields.map(({ name, value }) => ({ name, value: value.slice(0, mostFieldLength) }))
}

function readPart(fields: readonly MailField[], body: string, reading: Reading, depth: number): void {
  const contentType = valueOf(fields, 'content-type')
  const type = /^[^\s;]+/.exec(contentType)?.[0].toLowerCase() ?? 'text/plain'
  const boundary = parameter(contentType, 'boundary')
  if (type.startsWith('multipart/') && boundary !== '' && depth < mostDepth) {
    for (const piece of pieces(body, boundary)) readSection(piece, reading, depth)
    return
  }
  if (reading.parts.length >= mostParts) return
  const charset = parameter(contentType, 'charset').toLowerCase()
  const disposition = valueOf(fields, 'content-disposition')
  const name = decodeWords(parameter(disposition, 'filename') || parameter(contentType, 'name'))
  const extension = /\.([a-z0-9]{1,8})$/.exec(name.trim().toLowerCase())?.[1] ?? ''
  reading.parts.push({ type, extension })
  if (type === 'message/rfc822' && depth < mostDepth) return readSection(body, reading, depth)
  if (!type.startsWith('text/') || reading.left <= 0) return
  const octets = decodeBody(body, valueOf(fields, 'content-transfer-encoding').toLowerCase(), reading.left)
  const text = decodeText(octets, charset).slice(0, reading.left)
  reading.left -= text.length
  reading.texts.push(type === 'text/html' ? htmlText(text) : { text })
}

function readSection(section: string, reading: Reading, depth: number): void {
  const { fields, body } = split(section)
  readPart(fields, body, reading, depth + 1)
}

/** What stands between the boundary's lines; without a closing one up to the end. */
function pieces(body: string, boundary: string): readonly string[] {
  const delimiter = `--${boundary}`
  const found: string[] = []
  let start = lineAt(body, delimiter, 0)
  while (start >= 0 && found.length < mostParts) {
    const from = body.indexOf('\n', start + delimiter.length)
    if (body.startsWith('--', start + delimiter.length) || from < 0) break
    const next = lineAt(body, delimiter, from)
    found.push(body.slice(from + 1, next < 0 ? undefined : next))
    start = next
  }
  return found
}

/** Where a line begins with `text`, from `from` on; -1 when none does. */
function lineAt(body: string, text: string, from: number): number {
  if (from === 0 && body.startsWith(text)) return 0
  const found = body.indexOf(`\n${text}`, from)
  return found < 0 ? -1 : found + 1
}

function valueOf(fields: readonly MailField[], name: string): string {
  return fields.find((field) => field.name === name)?.value ?? ''
}

function parameter(value: string, name: string): string {
  const found = new RegExp(`[;\\s]${name}\\*?0?\\*?\\s*=\\s*(?:"([^"]{0,300})"?|([^\\s;"]{1,300}))`, 'i').exec(value)
  return found?.[1] ?? found?.[2] ?? ''
}

/** `most` characters of the result are wanted. */
function decodeBody(body: string, encoding: string, most: number): Buffer {
  if (encoding.startsWith('base64')) return Buffer.from(body.slice(0, most * 3), 'base64')
  if (encoding.startsWith('quoted-printable')) return decodeQuotedPrintable(body.slice(0, most * 4))
  return Buffer.from(body.slice(0, most * 2), 'latin1')
}

/** An unknown or missing charset is UTF-8 where that fits, else what Windows makes of it, as mail programs guess. */
function decodeText(octets: Buffer, charset: string): string {
  if (charset !== '' && charset !== 'us-ascii' && charset !== 'utf-8') {
    try {
      return new TextDecoder(charset).decode(octets)
    } catch {
      // Not a charset that exists here.
    }
  }
  const text = octets.toString('utf8')
  return text.includes('\ufffd') ? new TextDecoder('windows-1252').decode(octets) : text
}

/** @param latin1 a field's value, octet by octet. `=?utf-8?B?...?=`; blanks between two of them do not count. What is no word stays, as UTF-8 where it is. */
export function decodeWords(latin1: string): string {
  if (!latin1.includes('=?')) return hasHighOctets(latin1) ? decodeText(Buffer.from(latin1, 'latin1'), '') : latin1
  return latin1
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(
      /=\?([^?\s]{1,40})\?([bq])\?([^?]{0,2000})\?=/gi,
      (_all, charset: string, kind: string, body: string) => {
        const octets =
          kind.toLowerCase() === 'b' ? Buffer.from(body, 'base64') : decodeQuotedPrintable(body.replaceAll('_', ' '))
        return decodeText(octets, charset.toLowerCase())
      },
    )
}

function hasHighOctets(text: string): boolean {
  return /[\x80-\xff]/.test(text)
}
