/**
 * A header field as it stands, folding and CRLF included. Octets are latin1 characters, so that what is hashed is what
 * was sent, whatever its character set.
 */
export interface RawField {
  /** Lower case; empty for a line without a colon. */
  readonly name: string
  readonly raw: string
}

/** Splits a header section (CRLF line ends) into its fields, top to bottom; stops at the empty line. */
export function rawFields(header: Uint8Array): RawField[] {
  const text = latin1(header)
  const fields: RawField[] = []
  let start = 0
  while (start < text.length && !text.startsWith('\r\n', start)) {
    const end = fieldEnd(text, start)
    const raw = text.slice(start, end)
    fields.push({ name: fieldName(raw), raw })
    start = end
  }
  return fields
}

/** What stands behind the colon, unfolded (RFC 5322 §2.2.3), without the blanks around it. */
export function rawValue(raw: string): string {
  return trimBlanks(unfold(raw.slice(raw.indexOf(':') + 1)))
}

/** Removes each CRLF; in a header field it is followed by a blank or ends the field. */
export function unfold(text: string): string {
  return text.replaceAll('\r\n', '')
}

/** Without space and tab at both ends. Linear, and blind to what else JavaScript takes for a blank (0xA0). */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

export function latin1(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1')
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function fieldEnd(text: string, start: number): number {
  let end = text.indexOf('\r\n', start)
  while (end >= 0 && isBlank(text.charCodeAt(end + 2))) end = text.indexOf('\r\n', end + 2)
  return end < 0 ? text.length : end + 2
}

function fieldName(raw: string): string {
  const colon = raw.indexOf(':')
  return colon < 0 ? '' : trimBlanks(raw.slice(0, colon)).toLowerCase()
}
