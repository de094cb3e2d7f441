import { closest, type DiagnosticCode, type Span } from './diagnostic.ts'
import type { Lexer, Token } from './lexer.ts'
import type { Position } from './model.ts'
import { parseDuration } from './quantity.ts'

/** Ends the parsing of one statement; the diagnostic has been recorded. Never leaves the grammars. */
export class StatementFault extends Error {
  override readonly name = 'StatementFault'
}

/** Looking ahead and the small productions that both files share. Faults are recorded and end the statement. */
export class TokenReader {
  readonly lexer: Lexer
  readonly #ahead: Token[] = []
  #last: Token | undefined
  #statement: Token[] = []

  constructor(lexer: Lexer) {
    this.lexer = lexer
  }

  peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.lexer.next())
    const token = this.#ahead[distance]
    if (token === undefined) throw new Error('no token ahead')
    return token
  }

  next(): Token {
    const token = this.peek()
    this.#ahead.shift()
    if (token.kind !== 'newline') {
      this.#last = token
      this.#statement.push(token)
    }
    return token
  }

  beginStatement(): void {
    this.#statement = []
  }

  /** The tokens read since the statement began. */
  get statement(): readonly Token[] {
    return this.#statement
  }

  /** The last token of the statement so far. */
  get last(): Token {
    return this.#last ?? this.peek()
  }

  /** True when the next token is this keyword, word or punctuation (never a quoted string). */
  at(text: string, distance = 0): boolean {
    const token = this.peek(distance)
    return token.text === text && (token.kind === 'keyword' || token.kind === 'word' || token.kind === 'punctuation')
  }

  accept(text: string): boolean {
    if (!this.at(text)) return false
    this.next()
    return true
  }

  expect(text: string, place: string): Token {
    if (this.at(text)) return this.next()
    return this.unexpected(`"${text}" ${place}`, [text])
  }

  /** A name: a word that is not reserved, or a quoted string. */
  atString(distance = 0): boolean {
    const { kind } = this.peek(distance)
    return kind === 'word' || kind === 'string'
  }

  string(what: string): Token {
    if (this.atString()) return this.next()
    return this.unexpected(what)
  }

  number(what: string): Token & { readonly value: number } {
    const token = this.peek()
    const value = Number(token.text)
    if (token.kind !== 'number' || !Number.isSafeInteger(value)) return this.unexpected(what)
    this.next()
    return { ...token, value }
  }

  /** Milliseconds. */
  duration(what: string): number {
    const token = this.peek()
    const ms = this.atString() ? parseDuration(token.text) : undefined
    if (ms === undefined) {
      return this.fail(
        'value',
        `${what} must be a duration, not ${describe(token)}`,
        token.span,
        'a number and one of s, m, h, d: 30s, 4h, 5d',
      )
    }
    this.next()
    return ms
  }

  atEnd(): boolean {
    const { kind } = this.peek()
    return kind === 'newline' || kind === 'end'
  }

  endOfStatement(known: readonly string[] = []): void {
    if (!this.atEnd()) this.unexpected('the end of the line', known)
    this.next()
  }

  skipNewlines(): void {
    while (this.peek().kind === 'newline') this.next()
  }

  /** Goes to the next statement after a fault. */
  recover(): void {
    while (this.#ahead.length > 0) {
      const token = this.#ahead.shift()
      if (token?.kind === 'newline' || token?.kind === 'end') return
    }
    this.lexer.skipLine()
  }

  /** Says what was expected, with the advice that fits what stands there. */
  unexpected(expected: string, known: readonly string[] = []): never {
    const token = this.peek()
    if (token.kind === 'invalid') throw new StatementFault()
    const code = token.kind === 'word' && known.length > 0 ? 'unknown-keyword' : 'syntax'
    const { text, span } = withoutQuotes(token)
    const hint = this.#missingQuote(token) ?? advice({ ...token, text }, known)
    return this.fail(code, `expected ${expected}, found ${describe({ ...token, text })}`, span, hint)
  }

  /** A string that goes on over the end of a line is allowed, and mostly a quote that is missing. */
  #missingQuote(token: Token): string | undefined {
    const long = [...this.#statement, token].find(
      ({ kind, span }) => kind === 'string' && span.column - 1 + span.length > span.sourceLine.length,
    )
    if (long === undefined) return undefined
    return `the string that begins in line ${long.span.line} does not end there: is a quote missing?`
  }

  /** Ends the statement before the token that comes next, as if a line ended there. */
  breakLine(): void {
    this.#ahead.unshift({ ...this.peek(), kind: 'newline', text: '' })
  }

  fail(code: DiagnosticCode, message: string, span: Span, hint?: string): never {
    this.lexer.report(code, message, span, hint)
    throw new StatementFault()
  }

  report(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    this.lexer.report(code, message, span, hint)
  }

  tolerate(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    this.lexer.tolerate(code, message, span, hint)
  }

  warn(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    this.lexer.warn(code, message, span, hint)
  }
}

export function positionOf(token: Token): Position {
  return { file: token.span.file, line: token.span.line, column: token.span.column }
}

/** From one token to another, as far as they stand on one line. */
export function spanOf(first: Token, last: Token): Span {
  if (first.span.line !== last.span.line || first.span.file !== last.span.file) return first.span
  return { ...first.span, length: last.span.column + last.span.length - first.span.column }
}

/** What begins with a sign that no word begins with, as far as the next blank. */
function withoutQuotes(token: Token): Pick<Token, 'text' | 'span'> {
  if (token.kind !== 'punctuation' || !wantsQuotes.has(token.text)) return token
  const written = /^[^\s{},]+/.exec(token.span.sourceLine.slice(token.span.column - 1))?.[0] ?? token.text
  if (!written.startsWith(token.text)) return token
  return { text: written, span: { ...token.span, length: written.length } }
}

const wantsQuotes: ReadonlySet<string> = new Set('/@*~[.-%')

function describe(token: Token): string {
  switch (token.kind) {
    case 'newline':
      return 'the end of the line'
    case 'end':
      return 'the end of the file'
    case 'keyword':
      return `the keyword "${token.text}"`
    case 'number':
      return `the number ${token.text}`
    case 'string':
      return `the string "${token.text}"`
    case 'word':
    case 'punctuation':
    case 'invalid':
      return `"${token.text}"`
  }
}

function advice(token: Token, known: readonly string[]): string | undefined {
  if (token.kind === 'word' && known.length > 0) {
    const meant = closest(token.text, known)
    return meant === undefined ? `one of: ${known.join(', ')}` : `did you mean "${meant}"?`
  }
  if (known.length > 1) return `one of: ${known.join(', ')}`
  if (token.kind === 'keyword') return `"${token.text}" is reserved: put it in quotes to use it as a name`
  if (token.kind === 'number') return `a number is not a name: put it in quotes, "${token.text}"`
  if (token.kind === 'punctuation' && wantsQuotes.has(token.text.charAt(0))) {
    return token.text.includes('"') ? 'put the whole in quotes' : `put it in quotes: "${token.text}"`
  }
  if (token.text === '}' && token.kind === 'punctuation') return 'remove it: no "{" is open here'
  return undefined
}
