import { closest } from './diagnostic.ts'
import { oldStatements } from './keywords.ts'
import type { ReadText } from './lexer.ts'
import { parseAction } from './modern-action.ts'
import { parseFilter, parseProc } from './modern-filter.ts'
import { parseListen } from './modern-listener.ts'
import { parseMatch } from './modern-match.ts'
import {
  parseAdmd,
  parseBounce,
  parseCa,
  parseMda,
  parseMta,
  parsePki,
  parseQueue,
  parseScheduler,
  parseSmtp,
  parseSrs,
} from './modern-settings.ts'
import { newPolicyDraft, type PolicyDraft } from './policy-draft.ts'
import { parseTable } from './table-grammar.ts'
import { StatementFault, type TokenReader } from './token-reader.ts'

const statements: Readonly<Record<string, (draft: PolicyDraft) => void>> = {
  include: parseInclude,
  table: parseTable,
  listen: parseListen,
  action: parseAction,
  match: parseMatch,
  filter: parseFilter,
  proc: parseProc,
  pki: parsePki,
  ca: parseCa,
  mda: parseMda,
  mta: parseMta,
  queue: parseQueue,
  scheduler: parseScheduler,
  smtp: parseSmtp,
  srs: parseSrs,
  bounce: parseBounce,
  admd: parseAdmd,
}

/**
 * The grammar of 6.4 to 7.8 (section 3). Never throws for what the file says: all faults of the file are in the lexer's
 * diagnostics, and the draft holds what could be understood.
 */
export function parseModern(reader: TokenReader, read: ReadText): PolicyDraft {
  const draft = newPolicyDraft(reader, read)
  while (reader.peek().kind !== 'end') {
    if (reader.peek().kind === 'newline') reader.next()
    else parseStatement(draft)
  }
  draft.names.resolveLate()
  checkPkis(draft)
  if (draft.rules.length === 0 && !draft.faultyRules) {
    const message = 'there is no rule: all mail would be refused'
    reader.report('no-rules', message, reader.peek().span, 'add an `action` and a `match` that names it')
  }
  return draft
}

/** `name = value`: shared with pipeline.conf. */
export function parseMacro(reader: TokenReader): void {
  const name = reader.next()
  reader.next()
  const value = reader.string('the value of the macro')
  if (name.kind === 'keyword') {
    reader.report('syntax', `the keyword "${name.text}" cannot be the name of a macro`, name.span)
  }
  reader.endOfStatement()
  reader.lexer.define(name.text, value.text)
}

export function atMacro(reader: TokenReader): boolean {
  const { kind } = reader.peek()
  return (kind === 'word' || kind === 'keyword') && reader.at('=', 1)
}

function parseStatement(draft: PolicyDraft): void {
  const { reader } = draft
  const first = reader.peek()
  try {
    if (atMacro(reader)) return parseMacro(reader)
    const parse = first.kind === 'keyword' && Object.hasOwn(statements, first.text) ? statements[first.text] : undefined
    if (parse === undefined) return unknownStatement(draft)
    parse(draft)
  } catch (error) {
    if (!(error instanceof StatementFault)) throw error
    reader.recover()
  }
}

/** `include "path"`: shared with pipeline.conf. */
export function parseInclude(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const path = reader.peek()
  if (path.kind !== 'string') reader.unexpected('a path in quotes')
  reader.next()
  reader.endOfStatement()
  reader.lexer.include(path.text, path.span)
}

function unknownStatement(draft: PolicyDraft): void {
  const { reader } = draft
  const token = reader.peek()
  const old = token.kind === 'word' ? oldStatements.get(token.text) : undefined
  if (old !== undefined) {
    const message = `"${token.text}" is of the old grammar, and this file is of the new one`
    reader.fail('old-grammar', message, token.span, `one grammar a file: ${old}`)
  }
  const meant = token.kind === 'word' ? closest(token.text, Object.keys(statements)) : undefined
  if (token.kind === 'word') {
    const hint = meant === undefined ? `one of: ${Object.keys(statements).join(', ')}` : `did you mean "${meant}"?`
    reader.fail('unknown-keyword', `there is no statement "${token.text}"`, token.span, hint)
  }
  reader.unexpected('a statement', Object.keys(statements))
}

function checkPkis(draft: PolicyDraft): void {
  for (const [name, { cert, key, span }] of draft.pkis) {
    const missing = cert === undefined ? 'cert' : key === undefined ? 'key' : undefined
    if (missing === undefined) continue
    const hint = `add: pki ${name} ${missing} "/path"`
    draft.reader.report('incomplete', `the pki "${name}" has no ${missing}`, span, hint)
  }
}
