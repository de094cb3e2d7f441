import { foldedAddress } from '../mail/ascii-domain.ts'

/** What a table holds once it is read. Keys are in lower case, their domains in A-labels, values as written. */
export type TableContent =
  | { readonly kind: 'list'; readonly list: readonly string[] }
  | { readonly kind: 'map'; readonly map: ReadonlyMap<string, string> }

/** The text is no table; `line` counts from 1. */
export class TableFormatError extends Error {
  override readonly name = 'TableFormatError'
  readonly line: number

  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

/** Told of a key that was there already, and of its line. */
export type OnDuplicate = (key: string, line: number) => void

/**
 * The file format of section 6: an entry a line, `#` first is a comment, the first entry decides whether the file is a list or
 * a map, `# @list` before it makes it a list. The key ends at the first blank or `:`, or behind the `]` of a bracketed address.
 * @throws TableFormatError when a map has a key without a value, or a list an entry with one
 */
export function parseTableFile(text: string, onDuplicate: OnDuplicate = () => undefined): TableContent {
  const list: string[] = []
  const map = new Map<string, string>()
  let kind: 'list' | 'map' | undefined
  for (const [index, raw] of linesOf(text)) {
    const line = raw.trim()
    if (kind === undefined && /^#\s*@list$/.test(line)) kind = 'list'
    if (line === '' || line.startsWith('#')) continue
    const [key, value] = splitEntry(line)
    kind ??= value === undefined ? 'list' : 'map'
    if (kind === 'list') {
      if (value !== undefined && /\s/.test(line)) {
        throw new TableFormatError(index + 1, `"${key}" has a value, but the first entry made this file a list`)
      }
      list.push(line)
    } else {
      if (value === undefined) {
        throw new TableFormatError(index + 1, `"${key}" has no value, but the first entry made this file a map`)
      }
      const folded = foldedAddress(key)
      if (map.has(folded)) onDuplicate(folded, index + 1)
      map.set(folded, value)
    }
  }
  return kind === 'list' ? { kind: 'list', list } : { kind: 'map', map }
}

/**
 * A file of passwd(5) form: `name:hash:uid:gid:...`; the value is all behind the name.
 * @throws TableFormatError
 */
export function parsePasswdFile(text: string): TableContent {
  const map = new Map<string, string>()
  for (const [index, raw] of linesOf(text)) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon < 1)
      throw new TableFormatError(index + 1, 'a line of a passwd file is name:hash:uid:gid:gecos:home:shell')
    map.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1))
  }
  return { kind: 'map', map }
}

/** Without the byte order mark of a Windows editor. */
function linesOf(text: string): Iterable<[index: number, line: string]> {
  return text
    .replace(/^\u{FEFF}/u, '')
    .split('\n')
    .entries()
}

function splitEntry(line: string): [key: string, value: string | undefined] {
  const end = line.startsWith('[') ? line.indexOf(']') + 1 : line.search(/[\s:]/)
  if (end <= 0) return [line, undefined]
  const value = line
    .slice(end)
    .replace(/^[\s:]\s*/, '')
    .replace(/^:\s+/, '')
    .trim()
  return [line.slice(0, end), value === '' ? undefined : value]
}
