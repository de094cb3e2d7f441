import { logicalLines } from './logical-lines.ts'
import { TableFormatError } from './table-file.ts'
import type { OnDuplicate, TableContent } from './table-file.ts'

/**
 * What postmap(1) and postalias(1) make a database of: a key, blanks, the rest of the line is its value, as it stands; or
 * `name: value`, as in aliases(5), the name in quotes when it has blanks. A line that begins with a blank continues the one
 * before. As there, of equal keys the first counts.
 * @throws TableFormatError
 */
export function parsePostfixFile(text: string, onDuplicate: OnDuplicate = () => undefined): TableContent {
  const map = new Map<string, string>()
  for (const { line, text: entry } of logicalLines(text)) {
    const [name, value] = splitEntry(entry)
    if (name === '') throw new TableFormatError(line, 'an entry begins with its key')
    if (value === '') throw new TableFormatError(line, `"${name}" has no value: each key of such a table has one`)
    const key = name.toLowerCase()
    if (map.has(key)) onDuplicate(key, line)
    else map.set(key, value)
  }
  return { kind: 'map', map }
}

/** `[host]:port` and `host:port` are keys as they stand, and so is an IPv6 address. */
function splitEntry(entry: string): readonly [name: string, value: string] {
  const quoted = /^"([^"]*)"\s*:?\s*(.*)$/s.exec(entry)
  if (quoted !== null) return [quoted[1] ?? '', quoted[2] ?? '']
  const [, first = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(entry) ?? []
  if (first.endsWith(':') && first.indexOf(':') === first.length - 1) return [first.slice(0, -1), rest]
  const [, name, value] = /^([^[\]:]+):(?!\d+$)([^:]+)$/.exec(first) ?? []
  if (name !== undefined && value !== undefined) return [name, `${value} ${rest}`.trim()]
  return [first, rest.replace(/^:\s+/, '')]
}
