import type { Token } from './lexer.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { warnOfRepetition } from './repeated-settings.ts'
import { noteChanges, policySettings } from './set-by.ts'
import { StatementFault, type TokenReader } from './token-reader.ts'

/** The statements of a grammar by their first word. */
export type Statements = Readonly<Record<string, (draft: PolicyDraft) => void>>

/** A statement that was read without a fault. */
export interface ReadStatement {
  readonly first: Token
  /** All tokens, macros resolved; those of one macro share its offsets. */
  readonly tokens: readonly Token[]
}

export interface StatementReader {
  readonly statements: Statements
  /** Says what is wrong with a first word that is none of them. */
  readonly unknown: (draft: PolicyDraft) => void
  readonly onStatement?: (statement: ReadStatement) => void
}

/** Reads a file to its end. A faulty statement is dropped to the end of its line, and the next one is read. */
export function readStatements(draft: PolicyDraft, grammar: StatementReader): void {
  const { reader } = draft
  while (reader.peek().kind !== 'end') {
    if (reader.peek().kind === 'newline') reader.next()
    else readStatement(draft, grammar)
  }
}

/** `name = value`: shared with pipeline.conf. */
export function parseMacro(reader: TokenReader): void {
  const name = reader.next()
  reader.next()
  const value = reader.string('the value of the macro')
  if (/\s/.test(name.text)) reader.report('syntax', 'the name of a macro has no blanks', name.span)
  if (name.kind === 'keyword') {
    reader.report('syntax', `the keyword "${name.text}" cannot be the name of a macro`, name.span)
  }
  reader.endOfStatement()
  reader.lexer.define(name.text, value.text)
}

export function atMacro(reader: TokenReader): boolean {
  const { kind } = reader.peek()
  if (kind !== 'word' && kind !== 'keyword' && kind !== 'string') return false
  const sign = reader.peek(1)
  return reader.at('=', 1) && sign.to - sign.from === 1
}

/** `include "path"` */
export function parseInclude({ reader }: PolicyDraft): void {
  const path = parseIncludePath(reader)
  reader.endOfStatement()
  reader.lexer.include(path.text, path.span)
}

/** Shared with pipeline.conf, where a condition may follow. */
export function parseIncludePath(reader: TokenReader): Token {
  reader.next()
  const path = reader.peek()
  if (path.kind === 'word')
    reader.fail('syntax', 'the path of a file is in quotes', path.span, `include "${path.text}"`)
  if (path.kind !== 'string') reader.unexpected('a path in quotes')
  return reader.next()
}

function readStatement(draft: PolicyDraft, { statements, unknown, onStatement }: StatementReader): void {
  const { reader } = draft
  const first = reader.peek()
  reader.beginStatement()
  const before = policySettings(draft)
  try {
    if (atMacro(reader)) parseMacro(reader)
    else {
      const named = first.kind === 'keyword' || first.kind === 'word'
      const parse = named && Object.hasOwn(statements, first.text) ? statements[first.text] : undefined
      if (parse === undefined) return unknown(draft)
      parse(draft)
      warnOfRepetition(reader, reader.statement, draft.stated)
    }
    for (const [name, value] of Object.entries(policySettings(draft)))
      noteChanges(draft.setBy, name, before[name], value, first.span)
    onStatement?.({ first, tokens: reader.statement })
  } catch (error) {
    if (!(error instanceof StatementFault)) throw error
    reader.recover()
  }
}
