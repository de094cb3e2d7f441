import { compileExpression, ExpressionError } from './ere.ts'
import { isExternal } from './external-table.ts'
import type { Span } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { Table } from './model.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parsePatternTable } from './pattern-table.ts'
import { readBackend } from './table-backend.ts'
import { TableFormatError } from './table-file.ts'
import { sourceOf } from './table-source.ts'
import { parseTableText } from './table-text.ts'
import { positionOf, spanOf, StatementFault, type TokenReader } from './token-reader.ts'

/** `table NAME { ... }`, `table NAME file:/path` or `table NAME backend:/path`. */
export function parseTable(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const name = reader.string('the name of the table')
  draft.names.declare('table', name)
  if (reader.at('{')) {
    const { source, kind } = parseBody(draft)
    addTable(draft, { name: name.text, source, at: positionOf(name) }, kind)
  } else {
    const where = reader.string('"{" or a file, `file:/path`,')
    const source = sourceOf(draft, where)
    const table: Table = { name: name.text, source, at: positionOf(name) }
    addTable(draft, table, kindOf(draft, source, where.span))
  }
  reader.endOfStatement()
}

/** `<name>`, `{ ... }` or one bare entry; checks that the table is a list or a map as wanted. */
export function parseTables(draft: PolicyDraft, wanted: 'list' | 'map' | 'either', use: string): Table {
  const { reader } = draft
  const first = reader.peek()
  if (reader.accept('<')) {
    const name = reader.string('the name of a table')
    const close = reader.expect('>', 'behind the name of the table')
    const span = spanOf(first, close)
    const known = draft.names.require('table', name, span)
    const table = draft.tables.get(name.text)
    if (!known || table === undefined) throw new StatementFault()
    checkKind(draft, table, wanted, use, span)
    return table
  }
  const inline = reader.at('{') ? parseBody(draft) : oneEntry(reader, use)
  const name = `<inline ${draft.inlineTables}>`
  draft.inlineTables += 1
  const table: Table = { name, source: inline.source, at: positionOf(first) }
  draft.tableKinds.set(table, inline.kind)
  checkKind(draft, table, wanted, use, spanOf(first, reader.last))
  return table
}

/** A list that is used with all its entries: an external table can only be asked for one. */
export function parseWholeList(draft: PolicyDraft, use: string): Table {
  const first = draft.reader.peek()
  const table = parseTables(draft, 'list', use)
  if (isExternal(table)) {
    const span = spanOf(first, draft.reader.last)
    draft.reader.report('table-type', `${use} needs all entries of its table`, span, 'use a file or entries in { }')
  }
  return table
}

/** A list whose entries are used by turns: a table that can only be asked for a key has none. */
export function parseTurns(draft: PolicyDraft, wanted: 'list' | 'either', use: string): Table {
  const first = draft.reader.peek()
  const table = parseTables(draft, wanted, use)
  const { kind } = table.source
  if (kind === 'patterns' || kind === 'server' || kind === 'http') {
    const message = `${use} takes the entries of its table by turns, and this one can only be asked for a key`
    const hint =
      'use a file, entries in { }, or a database with a query for all of them (fetch_source, fetch_relayhost)'
    draft.reader.report('table-type', message, spanOf(first, draft.reader.last), hint)
  }
  return table
}

/** True when tables may follow: for options whose table can be left out. */
export function atTables(reader: TokenReader): boolean {
  return reader.atString() || reader.at('<') || reader.at('{')
}

/** A table of regular expressions. A wrong one never matches, as upstream, and is told now. */
export function parseExpressions(draft: PolicyDraft, use: string, wanted: 'list' | 'either' = 'list'): Table {
  const first = draft.reader.peek()
  const table = parseTables(draft, wanted, use)
  for (const pattern of entriesNow(draft, table)) {
    try {
      compileExpression(pattern)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      const span = spanOf(first, draft.reader.last)
      const message = `"${pattern}" is not a regular expression and never matches: ${error.message}`
      draft.reader.warn('value', message, span, 'in quotes a backslash is written once: "\\.org$"')
    }
  }
  return table
}

/** `{ a, b }` of names, as filters are listed. */
export function parseNames(reader: TokenReader, what: string): readonly Token[] {
  const names: Token[] = []
  reader.expect('{', `before ${what}`)
  reader.skipNewlines()
  do {
    names.push(reader.string(what))
  } while (goesOn(reader))
  return names
}

/** Entries as they are now; a file that cannot be read was told at its declaration. */
function entriesNow(draft: PolicyDraft, table: Table): readonly string[] {
  if (table.source.kind !== 'file') return listOf(table)
  try {
    const content = parseTableText(draft.read(table.source.path), table.source.format)
    return content.kind === 'list' ? content.list : []
  } catch {
    return []
  }
}

/** Entries of an inline list; nothing for files, which are read at look-up. */
export function listOf(table: Table): readonly string[] {
  return table.source.kind === 'inline' ? (table.source.list ?? []) : []
}

interface Body {
  readonly source: Extract<Table['source'], { readonly kind: 'inline' }>
  readonly kind: 'list' | 'map'
}

function parseBody(draft: PolicyDraft): Body {
  const { reader } = draft
  const open = reader.expect('{', 'before the entries')
  if (draft.grammar === 'old' && reader.peek().kind === 'newline') {
    const hint = 'put the first entry behind the brace'
    reader.tolerate('portability', 'the grammar of this file has no line end behind "{"', open.span, hint)
  }
  try {
    return parseEntries(reader, open)
  } catch (error) {
    if (error instanceof StatementFault && reader.last.span.line !== open.span.line) skipBody(reader)
    throw error
  }
}

function parseEntries(reader: TokenReader, open: Token): Body {
  reader.skipNewlines()
  if (reader.at('}')) reader.fail('syntax', 'there is nothing in it', reader.peek().span, 'write at least one entry')
  const first = reader.string('an entry')
  if (!reader.at('=')) {
    const list = [first.text]
    while (goesOn(reader, open)) {
      list.push(reader.string('an entry').text)
      if (reader.at('='))
        reader.fail('table-type', 'a list and a map are mixed', reader.peek().span, 'the first entry has no value')
    }
    return { source: { kind: 'inline', list }, kind: 'list' }
  }
  const map = new Map<string, string>()
  let key = first
  for (;;) {
    if (!reader.at('=') && !reader.atEnd()) {
      const hint = `a list and a map cannot be mixed: write ${key.text} = value`
      reader.fail('table-type', `"${key.text}" has no value, and the first entry has one`, key.span, hint)
    }
    reader.expect('=', `behind the key "${key.text}"`)
    map.set(key.text, reader.string(`the value of "${key.text}"`).text)
    if (!goesOn(reader, open)) return { source: { kind: 'inline', map }, kind: 'map' }
    key = reader.string('a key')
  }
}

/** Behind an entry: true when another follows, false behind the closing brace. */
function goesOn(reader: TokenReader, open?: Token): boolean {
  if (reader.accept(',')) {
    reader.skipNewlines()
    if (reader.at('}')) {
      reader.fail('syntax', 'there is no entry behind the last comma', reader.peek().span, 'remove the comma')
    }
    return true
  }
  const { kind } = reader.peek()
  reader.skipNewlines()
  if (open !== undefined && kind === 'newline' && reader.peek().kind === 'keyword') return !endsUnclosed(reader, open)
  return !reader.accept('}')
}

/** A line that begins with a keyword is a statement: the brace before it was forgotten. */
function endsUnclosed(reader: TokenReader, open: Token): true {
  const { span, text } = reader.peek()
  const hint = `add "}": line ${span.line} begins with "${text}"`
  reader.report('syntax', 'the list that begins here is not closed', open.span, hint)
  reader.breakLine()
  return true
}

/** After a fault in a list of several lines: to its closing brace, so that its other lines are not taken for statements. */
function skipBody(reader: TokenReader): void {
  for (;;) {
    const token = reader.peek()
    if (token.kind === 'end' || reader.at('}')) return
    if (token.kind === 'newline' && reader.peek(1).kind === 'keyword') return
    reader.next()
  }
}

function oneEntry(reader: TokenReader, use: string): Body {
  const entry = reader.string(`a table, a list or a word for ${use}`)
  return { source: { kind: 'inline', list: [entry.text] }, kind: 'list' }
}

function addTable(draft: PolicyDraft, table: Table, kind: 'list' | 'map' | undefined): void {
  draft.tables.set(table.name, table)
  if (kind !== undefined) draft.tableKinds.set(table, kind)
}

/**
 * Reads a file once, so that a missing or broken one is told with its place in the configuration. Postfix has no lists: the keys of
 * its maps are one where one is needed.
 */
function kindOf(draft: PolicyDraft, source: Table['source'], span: Span): 'list' | 'map' | undefined {
  switch (source.kind) {
    case 'file': {
      const { path, format } = source
      const content = readOnce(draft, path, span, (text) => parseTableText(text, format, duplicates(draft, span)))
      return format === 'postfix' ? undefined : content?.kind
    }
    case 'patterns':
      readOnce(draft, source.path, span, (text) => parsePatternTable(text, source.format))
      return undefined
    case 'backend':
      readBackendOnce(draft, source, span)
      return undefined
    case 'inline':
    case 'static':
    case 'environment':
    case 'process':
    case 'server':
    case 'http':
    case 'lmtp':
      return undefined
  }
}

function readOnce<Content>(
  draft: PolicyDraft,
  path: string,
  span: Span,
  parse: (text: string) => Content,
): Content | undefined {
  let text: string
  try {
    text = draft.read(path)
  } catch (error) {
    const reason =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such file' : error
    draft.reader.report('missing-file', `cannot read ${path}: ${String(reason)}`, span, 'create it or correct the path')
    return undefined
  }
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TableFormatError)) throw error
    draft.reader.report('table-content', `${path}, line ${error.line}: ${error.message}`, span)
    return undefined
  }
}

/** Its settings are checked now; whether the server answers is seen when it is asked. */
function readBackendOnce(
  draft: PolicyDraft,
  { backend, config }: Extract<Table['source'], { readonly kind: 'backend' }>,
  span: Span,
): void {
  const known = new Map<string, string>()
  const read = (path: string): string => known.get(path) ?? draft.read(path)
  readOnce(draft, config, span, (text) => {
    known.set(config, text)
    return readBackend(backend, config, read)
  })
}

/** The first of them are told, each with its line. */
function duplicates({ reader }: PolicyDraft, span: Span): (key: string, line: number) => void {
  let count = 0
  return (key, line) => {
    count += 1
    if (count > 10) return
    reader.warn('table-content', `line ${line} of the file: "${key}" is there already`, span, 'keep one of the two')
  }
}

function checkKind(draft: PolicyDraft, table: Table, wanted: 'list' | 'map' | 'either', use: string, span: Span): void {
  const kind = draft.tableKinds.get(table)
  if (kind === undefined || wanted === 'either' || kind === wanted) return
  const [is, must, hint] =
    kind === 'list'
      ? ['a list', 'a map', 'give each entry a value: { key = value, ... }, or in a file: key value']
      : ['a map', 'a list', 'write the keys alone: { key, ... }, or in a file one in each line']
  draft.reader.report('table-type', `${use} needs ${must}, and this table is ${is}`, span, hint)
}
