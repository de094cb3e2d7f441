import { compileExpression, ExpressionError } from './ere.ts'
import { isExternal } from './external-table.ts'
import type { Span } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { Table } from './model.ts'
import { resolvePath } from './path.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parsePasswdFile, parseTableFile, TableFormatError } from './table-file.ts'
import { findTableProgram } from './table-program.ts'
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
    addTable(draft, table, source.kind === 'file' ? kindOfFile(draft, source, where.span) : undefined)
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
    const content = parseTableFile(draft.read(table.source.path))
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

function sourceOf(draft: PolicyDraft, where: Token): Table['source'] {
  const { reader } = draft
  const { text, span } = where
  const colon = text.indexOf(':')
  if (/^\.{0,2}\//.test(text)) return { kind: 'file', path: resolvePath(text, span.file) }
  const backend = colon < 0 ? text : text.slice(0, colon)
  const path = resolvePath(text.slice(colon + 1), span.file)
  switch (backend) {
    case 'file':
    case 'static':
      if (colon < 0 || text.length === colon + 1) reader.fail('syntax', `"${backend}:" names no file`, span)
      return { kind: 'file', path }
    case 'passwd':
      return { kind: 'file', path, format: 'passwd' }
    case 'db':
      return textOfDatabase(draft, path, where)
    default:
      return colon > 0 && text[colon + 1] !== '/'
        ? reader.fail('syntax', `"${text}": a path follows the colon`, span, `${backend}:/path`)
        : programSource(draft, backend, colon < 0 ? undefined : path, where)
  }
}

const none: Table['source'] = { kind: 'inline', list: [] }

/** makemap(8) makes `/path.db` of the text `/path`: that is read. */
function textOfDatabase(draft: PolicyDraft, path: string, { span }: Token): Table['source'] {
  const text = path.replace(/\.db$/, '')
  try {
    if (text === path) throw new Error('no text is known')
    draft.read(text)
    return { kind: 'file', path: text }
  } catch {
    const message =
      text === path
        ? 'a db: table is read from the text it was made of'
        : `db: tables are read from ${text}, which is not there`
    draft.reader.report('unsupported', message, span, 'write file: and the text file the database was made of')
    return none
  }
}

/** Any other backend is a program, `table-NAME`, which is told the path. */
function programSource(
  draft: PolicyDraft,
  backend: string,
  config: string | undefined,
  { text, span }: Token,
): Table['source'] {
  const name = /^[\w.-]+$/.test(backend) ? backend : undefined
  const program = name === undefined ? undefined : findTableProgram(name, draft.libexec)
  if (program !== undefined) return { kind: 'process', program, ...(config === undefined ? {} : { config }) }
  const folders = draft.libexec.join(', ')
  draft.reader.report(
    'unsupported',
    `there is no table backend "${backend}": no program table-${backend} in ${folders}`,
    span,
    config === undefined
      ? `a file is written file:${text}`
      : 'install it, name its folder in SMTPD_LIBEXEC, or use file: or passwd:',
  )
  return none
}

function addTable(draft: PolicyDraft, table: Table, kind: 'list' | 'map' | undefined): void {
  draft.tables.set(table.name, table)
  if (kind !== undefined) draft.tableKinds.set(table, kind)
}

/** Reads the file once, so that a missing or broken one is told with its place in the configuration. */
function kindOfFile(
  draft: PolicyDraft,
  source: Extract<Table['source'], { readonly kind: 'file' }>,
  span: Span,
): 'list' | 'map' | undefined {
  let text: string
  try {
    text = draft.read(source.path)
  } catch (error) {
    const reason =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such file' : error
    draft.reader.report(
      'missing-file',
      `cannot read ${source.path}: ${String(reason)}`,
      span,
      'create it or correct the path',
    )
    return undefined
  }
  try {
    return (source.format === 'passwd' ? parsePasswdFile(text) : parseTableFile(text)).kind
  } catch (error) {
    if (!(error instanceof TableFormatError)) throw error
    draft.reader.report('table-content', `${source.path}, line ${error.line}: ${error.message}`, span)
    return undefined
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
