/**
 * A change of the header section, or of what is around the message. The stored bytes never change: what a stage sees, signs or delivers is "edits applied
 * to the stored bytes", in order. Texts hold whole fields with their CRLF, as binary strings are not needed: UTF-8.
 */
export type HeaderEdit =
  | { readonly kind: 'prepend'; readonly fields: string }
  /** Removes each field of that name (without case), or only those whose unfolded value equals `value`. */
  | { readonly kind: 'remove'; readonly name: string; readonly value?: string }
  /**
   * Puts `field` in the place of the first field of that name; appended at the end of the section when there is none. With `value`
   * of the first whose unfolded value equals it, and nothing happens when there is none.
   */
  | { readonly kind: 'replace'; readonly name: string; readonly field: string; readonly value?: string }
  /**
   * Makes what the edits before have left a part of a new message: the new header has the fields of the old one that `keep` names (in
   * lower case), in their order, and `fields`; `before` and `after` stand around the old message in the new body.
   */
  | {
      readonly kind: 'wrap'
      readonly keep: readonly string[]
      readonly fields: string
      readonly before: string
      readonly after: string
    }
  /** The stored message counts as what it is with its bodies encoded for 7-bit transport; the other edits are made to that one. */
  | { readonly kind: 'seven-bit' }

/** A field as it stands in the section, with its folding and CRLF. */
export interface HeaderField {
  readonly name: string
  readonly raw: Buffer
}

/**
 * The header section (closing empty line included, when there is one) with the edits applied. With prepends only, the
 * section itself is not looked at.
 */
export function applyEdits(header: Buffer, edits: readonly HeaderEdit[]): Buffer {
  return editMessage(header, edits).header
}

/** A message with its edits: a header section, and what stands around the stored body. */
export interface EditedMessage {
  readonly header: Buffer
  readonly before: Buffer
  readonly after: Buffer
}

/** Whoever passes the body on, or signs it, puts `before` and `after` around it: they are empty unless an edit wraps the message. */
export function editMessage(header: Buffer, edits: readonly HeaderEdit[]): EditedMessage {
  const at = edits.findLastIndex((edit) => edit.kind === 'wrap')
  const wrap = edits[at]
  if (wrap?.kind !== 'wrap') return { header: editSection(header, edits), before: nothing, after: nothing }
  const inner = editMessage(header, edits.slice(0, at))
  const kept = headerFields(inner.header).filter((field) => wrap.keep.includes(field.name))
  const section = Buffer.concat([...kept.map(wholeField), Buffer.from(`${wrap.fields}\r\n`)])
  return {
    header: editSection(section, edits.slice(at + 1)),
    before: Buffer.concat([Buffer.from(wrap.before), inner.header, inner.before]),
    after: Buffer.concat([inner.after, Buffer.from(wrap.after)]),
  }
}

/** The edits to the message as it was before it was wrapped. */
export function unwrapped(edits: readonly HeaderEdit[]): readonly HeaderEdit[] {
  const at = edits.findIndex((edit) => edit.kind === 'wrap')
  return at < 0 ? edits : edits.slice(0, at)
}

const nothing = Buffer.alloc(0)

/** The last one of a message without a body may have no end. */
function wholeField({ raw }: HeaderField): Buffer {
  return raw.subarray(-2).equals(Buffer.from('\r\n')) ? raw : Buffer.concat([raw, Buffer.from('\r\n')])
}

function editSection(header: Buffer, edits: readonly HeaderEdit[]): Buffer {
  if (onlyPrepends(edits)) return Buffer.concat([prepended(edits), header])
  const closing = header.subarray(-4).equals(Buffer.from('\r\n\r\n')) ? 2 : header.equals(Buffer.from('\r\n')) ? 2 : 0
  let fields = headerFields(header)
  for (const edit of edits) if (edit.kind !== 'wrap' && edit.kind !== 'seven-bit') fields = applyEdit(fields, edit)
  return Buffer.concat([...fields.map((field) => field.raw), header.subarray(header.length - closing)])
}

/** The header section itself stays as it is. */
export function onlyPrepends(edits: readonly HeaderEdit[]): boolean {
  return edits.every((edit) => edit.kind === 'prepend' || edit.kind === 'seven-bit')
}

/** The fields that prepend edits put above the section, the latest on top. */
export function prepended(edits: readonly HeaderEdit[]): Buffer {
  let text = ''
  for (const edit of edits) if (edit.kind === 'prepend') text = edit.fields + text
  return Buffer.from(text)
}

/** Splits a header section into its fields; a line that is no field stays with the field above it, so nothing is lost. */
export function headerFields(header: Buffer): HeaderField[] {
  const fields: HeaderField[] = []
  let start = 0
  while (start < header.length) {
    const end = fieldEnd(header, start)
    const raw = header.subarray(start, end)
    if (raw.equals(Buffer.from('\r\n'))) break
    fields.push({ name: fieldName(raw), raw })
    start = end
  }
  return fields
}

/** Value of a field: unfolded, blanks around it trimmed. */
export function fieldValue(field: HeaderField): string {
  const text = field.raw.toString('utf8')
  return text
    .slice(text.indexOf(':') + 1)
    .replaceAll(/\r\n(?=[ \t])/g, '')
    .trim()
}

function fieldName(raw: Buffer): string {
  const colon = raw.indexOf(0x3a)
  return colon < 0 ? '' : raw.toString('latin1', 0, colon).trimEnd().toLowerCase()
}

function fieldEnd(header: Buffer, start: number): number {
  let end = header.indexOf('\r\n', start)
  while (end >= 0 && end > start && (header[end + 2] === 0x20 || header[end + 2] === 0x09))
    end = header.indexOf('\r\n', end + 2)
  return end < 0 ? header.length : end + 2
}

function applyEdit(
  fields: readonly HeaderField[],
  edit: Exclude<HeaderEdit, { readonly kind: 'wrap' | 'seven-bit' }>,
): HeaderField[] {
  switch (edit.kind) {
    case 'prepend':
      return [...headerFields(Buffer.from(edit.fields)), ...fields]
    case 'remove': {
      const name = edit.name.toLowerCase()
      return fields.filter(
        (field) => field.name !== name || (edit.value !== undefined && fieldValue(field) !== edit.value),
      )
    }
    case 'replace': {
      const name = edit.name.toLowerCase()
      const index = fields.findIndex(
        (field) => field.name === name && (edit.value === undefined || fieldValue(field) === edit.value),
      )
      if (index < 0 && edit.value !== undefined) return [...fields]
      const added = { name, raw: Buffer.from(edit.field) }
      return index < 0 ? [...fields, added] : [...fields.slice(0, index), added, ...fields.slice(index + 1)]
    }
  }
}
