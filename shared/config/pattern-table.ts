import { compileExpression, ExpressionError } from './ere.ts'
import type { GroupingExpression } from './ere.ts'
import { groupTemplate } from './group-template.ts'
import type { GroupTemplate } from './group-template.ts'
import { logicalLines } from './logical-lines.ts'
import { isWithin, parseAddress, parseNetwork, withoutBrackets } from './network.ts'
import type { Address } from './network.ts'
import { TableFormatError } from './table-file.ts'

/** Whose lines are networks, POSIX or Perl expressions. */
export type PatternFormat = 'cidr' | 'regexp' | 'pcre'

export interface PatternTable {
  /** Of the first pattern that fits. */
  lookup(key: string): string | undefined
}

/** A key this long is no address and no name; the time of a look-up grows with it. */
const maximumKey = 1024

interface Key {
  readonly text: string
  /** Absent: it is none. */
  readonly address?: Address
}

/** What the groups matched; `undefined`: it does not fit. */
type Pattern = (key: Key) => readonly string[] | undefined

type Entry =
  | { readonly kind: 'value'; readonly fits: Pattern; readonly value: (groups: readonly string[]) => string }
  | { readonly kind: 'if'; readonly fits: Pattern; readonly entries: Entry[] }

/**
 * Postfix's cidr, regexp and pcre tables: `PATTERN VALUE`, `!PATTERN VALUE`, `if PATTERN` ... `endif`; the first that fits gives
 * the value, with `$1` for what a group matched. Every look-up takes linear time.
 * @throws TableFormatError
 */
export function parsePatternTable(text: string, format: PatternFormat): PatternTable {
  const top: Entry[] = []
  const open: { readonly entries: Entry[]; readonly line: number }[] = [{ entries: top, line: 0 }]
  for (const { line, text: entry } of logicalLines(text)) {
    const innermost = open.at(-1)?.entries ?? top
    if (/^endif\s*$/i.test(entry)) {
      if (open.length === 1) throw new TableFormatError(line, '"endif" without an "if"')
      open.pop()
      continue
    }
    const condition = /^if\s+(?=[!/\d[:a-f])/i.exec(entry)?.[0]
    const written = condition === undefined ? entry : entry.slice(condition.length)
    const { fits, groups, rest } = format === 'cidr' ? networkOf(written, line) : expressionOf(written, format, line)
    if (condition === undefined) {
      if (rest === '') throw new TableFormatError(line, 'the pattern has no value')
      innermost.push({ kind: 'value', fits, value: templateOf(rest, groups, line) })
    } else {
      if (rest !== '') throw new TableFormatError(line, `"${rest}" behind the pattern of an "if"`)
      const entries: Entry[] = []
      innermost.push({ kind: 'if', fits, entries })
      open.push({ entries, line })
    }
  }
  const unclosed = open.length > 1 ? open.at(-1) : undefined
  if (unclosed !== undefined) throw new TableFormatError(unclosed.line, 'this "if" has no "endif"')
  return { lookup: (key) => (key.length > maximumKey ? undefined : firstOf(top, keyOf(key, format))) }
}

function keyOf(text: string, format: PatternFormat): Key {
  const address = format === 'cidr' ? parseAddress(withoutBrackets(text)) : undefined
  return address === undefined ? { text } : { text, address }
}

function firstOf(entries: readonly Entry[], key: Key): string | undefined {
  for (const entry of entries) {
    const groups = entry.fits(key)
    if (groups === undefined) continue
    const value = entry.kind === 'value' ? entry.value(groups) : firstOf(entry.entries, key)
    if (value !== undefined) return value
  }
  return undefined
}

interface ReadPattern {
  readonly fits: Pattern
  /** How many there are for the value; absent: the value is plain text. */
  readonly groups?: number
  readonly rest: string
}

function networkOf(written: string, line: number): ReadPattern {
  const [, not = '', network = '', rest = ''] = /^(!?)\s*(\S+)\s*(.*)$/s.exec(written) ?? []
  const parsed = parseNetwork(network)
  if (parsed === undefined) throw new TableFormatError(line, `"${network}" is no network`)
  const fits: Pattern = ({ address }) =>
    address !== undefined && isWithin(parsed, address) === (not === '') ? [] : undefined
  return { fits, rest: rest.trim() }
}

function expressionOf(written: string, format: 'regexp' | 'pcre', line: number): ReadPattern {
  const not = written.startsWith('!')
  const text = not ? written.slice(1).trimStart() : written
  const end = closingOf(text)
  if (end === undefined)
    throw new TableFormatError(line, 'an expression stands between two slashes: /expression/ value')
  const [flags = ''] = /^[A-Za-z]*/.exec(text.slice(end + 1)) ?? []
  const rest = text.slice(end + 1 + flags.length)
  if (rest !== '' && !/^\s/.test(rest))
    throw new TableFormatError(line, `a blank follows the expression, not "${rest}"`)
  const expression = compiled(withFlags(text.slice(1, end), flags, format, line), line)
  if (not) return { fits: (key) => (expression.test(key.text) ? undefined : []), rest: rest.trim() }
  return { fits: (key) => expression.find(key.text), groups: expression.groups, rest: rest.trim() }
}

interface Flagged {
  readonly text: string
  readonly caseSensitive: boolean
  readonly perl: boolean
}

/** `i` is on without being written: it turns it off, as `x` would the extended form. `m`, `s`, `E`: keys have one line. */
function withFlags(text: string, flags: string, format: 'regexp' | 'pcre', line: number): Flagged {
  const perl = format === 'pcre'
  for (const flag of flags) {
    if (!(perl ? 'imsAEX' : 'im').includes(flag))
      throw new TableFormatError(line, `the flag "${flag}" is not supported in a ${format}: table`)
  }
  return {
    text: flags.includes('A') ? `^(?:${text})` : text,
    caseSensitive: (flags.split('i').length - 1) % 2 === 1,
    perl,
  }
}

function compiled({ text, ...syntax }: Flagged, line: number): GroupingExpression {
  try {
    return compileExpression(text, syntax)
  } catch (error) {
    if (error instanceof ExpressionError) throw new TableFormatError(line, `/${text}/: ${error.message}`)
    throw error
  }
}

/** The slash that is not written `\/`. */
function closingOf(text: string): number | undefined {
  if (!text.startsWith('/')) return undefined
  for (let at = 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '/') return at
  }
  return undefined
}

function templateOf(text: string, groups: number | undefined, line: number): GroupTemplate {
  if (groups === undefined) return () => text
  try {
    return groupTemplate(text, groups)
  } catch (error) {
    if (error instanceof ExpressionError) throw new TableFormatError(line, error.message)
    throw error
  }
}
