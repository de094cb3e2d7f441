import { resolvePath } from './path.ts'

import { closest, type Diagnostic, type DiagnosticCode, type Span } from './diagnostic.ts'

/** SMTPD_CONF section 2. A quoted string and a word are both names; a number is not. */
export interface Token {
  readonly kind: 'word' | 'keyword' | 'string' | 'number' | 'punctuation' | 'newline' | 'end' | 'invalid'
  readonly text: string
  readonly span: Span
  /** Offsets in the text of `span.file`; of the `$name` when a macro gave the token. */
  readonly from: number
  readonly to: number
}

/** The text of a file; throws what the file system throws. */
export type ReadText = (path: string) => string

export interface LexerOptions {
  readonly keywords: ReadonlySet<string>
  readonly read: ReadText
  /** `smtpd -D`: cannot be defined again by a file. */
  readonly definitions?: Readonly<Record<string, string>>
  /** Macros of a file read before. */
  readonly macros?: ReadonlyMap<string, string>
  /** Blanks between a backslash and its line end are an error, as in OpenSMTPD, not a warning. */
  readonly strict?: boolean
}

const maximumIncludeDepth = 16
/** Of one configuration: files that include two others each, some levels deep, would be read for hours. */
const maximumIncludes = 10_000
const maximumStringBytes = 8095
/** What word processors make of quotes. */
const typographicQuotes: ReadonlySet<string> = new Set('\u{201C}\u{201D}\u{201E}\u{2018}\u{2019}\u{201A}\u{AB}\u{BB}')
const noBreakSpace = '\u{A0}'
const endsNumber = /[\s),/}=]/
const wordStart = /[A-Za-z0-9:_]/
const inWord = /[\x21-\x7e]/
const neverInWord = new Set('(){}<>!=#,')

interface Frame {
  readonly kind: 'file' | 'macro'
  readonly path: string
  readonly text: string
  readonly lineStarts: readonly number[]
  at: number
  /** A backslash here stands for itself: another one is before it. */
  literalAt: number
}

interface Place {
  readonly span: Span
  readonly offset: number
}

/**
 * Makes tokens on demand, since a macro or an include changes what follows. Faults are collected in `diagnostics` and yield an
 * `invalid` token. CRLF and a byte order mark are accepted.
 */
export class Lexer {
  /** The first file. */
  readonly path: string
  readonly diagnostics: Diagnostic[] = []
  readonly macros: Map<string, string>
  readonly #fixed: ReadonlySet<string>
  readonly #options: LexerOptions
  readonly #frames: Frame[] = []
  readonly #noBreakSpacesIn = new Set<string>()
  #lastKind: Token['kind'] = 'newline'
  #included = 0
  /** Where the macro whose text is being read was used. */
  #macroSite: Place | undefined

  /** @throws what `read` throws for the first file */
  constructor(path: string, options: LexerOptions) {
    this.path = path
    this.#options = options
    const definitions = Object.entries(options.definitions ?? {})
    this.#fixed = new Set(definitions.map(([name]) => name))
    this.macros = new Map([
      ...(options.macros ?? []),
      ...definitions.map(([name, value]) => [name, asLexed(value)] as const),
    ])
    this.#frames.push(openFile(path, options.read(path)))
  }

  /** `name = value`; a later definition wins, but not over `-D`. */
  define(name: string, value: string): void {
    if (!this.#fixed.has(name)) this.macros.set(name, value)
  }

  /** The next tokens come from this file; relative paths start at the folder of the file that says `include`. */
  include(path: string, at: Span): void {
    const resolved = resolvePath(path, at.file)
    const open = this.#frames.filter((frame) => frame.kind === 'file').map((frame) => frame.path)
    this.#included += 1
    if (open.includes(resolved)) {
      const way = [...open.slice(open.indexOf(resolved)), resolved].join(' -> ')
      this.report('include', 'this file includes itself', at, `remove this line, or another one of: ${way}`)
      return
    }
    if (open.length > maximumIncludeDepth) {
      const hint = 'include from fewer levels'
      this.report('include', `files are included more than ${maximumIncludeDepth} levels deep`, at, hint)
      return
    }
    if (this.#included > maximumIncludes) {
      if (this.#included === maximumIncludes + 1)
        this.report(
          'include',
          `more than ${maximumIncludes} files are included`,
          at,
          'put what is repeated into one file',
        )
      return
    }
    try {
      this.#frames.push(openFile(resolved, this.#options.read(resolved)))
    } catch (error) {
      this.report('include', `cannot read ${resolved}: ${reasonOf(error)}`, at, 'check the path and the permissions')
    }
  }

  next(): Token {
    const token = this.#scan()
    this.#lastKind = token.kind
    return token
  }

  /** After a fault: goes behind the end of the logical line without further complaints. */
  skipLine(): void {
    const known = this.diagnostics.length
    let token = this.next()
    while (token.kind !== 'newline' && token.kind !== 'end') token = this.next()
    const further = this.diagnostics.splice(known)
    this.diagnostics.push(...further.filter((one) => one.code === 'unterminated-string'))
  }

  report(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    this.diagnostics.push({ severity: 'error', code, message, span, ...(hint === undefined ? {} : { hint }) })
  }

  warn(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    this.diagnostics.push({ severity: 'warning', code, message, span, ...(hint === undefined ? {} : { hint }) })
  }

  /** What OpenSMTPD refuses and we understand: a warning, and an error when the options say `strict`. */
  tolerate(code: DiagnosticCode, message: string, span: Span, hint?: string): void {
    if (this.#options.strict === true) this.report(code, message, span, hint)
    else this.warn(code, message, span, hint)
  }

  /** The statement between two tokens as its author wrote it, on one line; `undefined` when they are of two files. */
  textBetween(first: Token, last: Token): string | undefined {
    const frame = this.#frames.findLast((one) => one.kind === 'file')
    if (frame === undefined || first.span.file !== frame.path || last.span.file !== frame.path) return undefined
    return frame.text.slice(first.from, last.to).replaceAll('\\\n', ' ').replaceAll(/\s+/g, ' ')
  }

  #scan(): Token {
    this.#skipBlanks()
    const start = this.#place()
    const char = this.#peek()
    if (char === '') return this.#endOfFile(start)
    if (char === '\n') {
      this.#advance()
      return this.#token('newline', '\n', start)
    }
    if (char === '#') {
      this.#skipComment()
      return this.#scan()
    }
    if (char === '"' || char === "'") return this.#quoted(char, start)
    if (char === '$' && this.#top()?.kind === 'file') return this.#macro(start)
    if (char === '-' || isDigit(char)) return this.#numberOrWord(start)
    if (wordStart.test(char)) return this.#word('', start)
    this.#advance()
    if (char === '=' && this.#peek() === '>') {
      this.#advance()
      return this.#token('punctuation', '=', start)
    }
    if (isForbidden(char)) {
      const shown = char === '\f' ? 'a form feed' : char === '\r' ? 'a carriage return' : `"${char}"`
      const hint = typographicQuotes.has(char) ? 'write straight quotes: "' : 'put the word in quotes'
      this.report('character', `${shown} may stand only in quotes and comments`, start.span, hint)
      return this.#token('invalid', char, start)
    }
    return this.#token('punctuation', char, start)
  }

  #endOfFile(start: Place): Token {
    if (this.#lastKind !== 'newline') return this.#token('newline', '', start)
    if (this.#frames.length <= 1) return this.#token('end', '', start)
    this.#frames.pop()
    return this.#scan()
  }

  #quoted(quote: string, start: Place): Token {
    this.#advance()
    let text = ''
    for (;;) {
      const char = this.#peekRaw()
      if (char === '') {
        this.report(
          'unterminated-string',
          'the file ends inside a quoted string',
          start.span,
          `add the closing ${quote}`,
        )
        return this.#token('invalid', text, start)
      }
      this.#advanceRaw()
      if (char === quote) break
      if (char === '\n') continue
      if (char !== '\\') {
        text += char
        continue
      }
      const next = this.#peekRaw()
      if (next === quote || next === ' ' || next === '\t') text += next
      if (next === quote || next === ' ' || next === '\t' || next === '\n') this.#advanceRaw()
      else text += char
    }
    if (Buffer.byteLength(text) > maximumStringBytes) {
      return this.#tooLong(start)
    }
    const macro = /\$([A-Za-z0-9_]+)/.exec(text)?.[1]
    if (macro !== undefined && this.macros.has(macro)) {
      const hint = `write $${macro} without quotes, by itself`
      this.warn('no-effect', `in quotes $${macro} is not replaced by its value`, this.#until(start).span, hint)
    }
    return this.#token('string', text, start)
  }

  #tooLong(start: Place): Token {
    const hint = 'write a long list in a file, a line for each entry: table NAME file:/path'
    this.report('string-too-long', `a string holds at most ${maximumStringBytes} octets`, start.span, hint)
    return this.#token('invalid', '', start)
  }

  #macro(start: Place): Token {
    this.#advance()
    let name = ''
    while (/[A-Za-z0-9_]/.test(this.#peek())) {
      name += this.#peek()
      this.#advance()
    }
    const value = this.macros.get(name)
    if (value !== undefined) {
      const { path } = this.#file()
      this.#frames.push({ kind: 'macro', path, text: value, lineStarts: [], at: 0, literalAt: -1 })
      this.#macroSite = this.#until(start)
      return this.#scan()
    }
    const meant = this.diagnostics.length < 100 ? closest(name, this.macros.keys()) : undefined
    const known = meant === undefined ? `define it before: ${name} = "value"` : `did you mean $${meant}?`
    const hint = name === '' ? 'a macro is used as $name: letters, digits and _' : known
    this.report('undefined-macro', `there is no macro "${name}"`, this.#until(start).span, hint)
    return this.#token('invalid', name, start)
  }

  #numberOrWord(start: Place): Token {
    let text = ''
    if (this.#peek() === '-') {
      this.#advance()
      if (!isDigit(this.#peek())) return this.#token('punctuation', '-', start)
      text = '-'
    }
    while (isDigit(this.#peek())) {
      text += this.#peek()
      this.#advance()
    }
    const next = this.#peek()
    if (next === '' || endsNumber.test(next)) return this.#token('number', text, start)
    if (text.startsWith('-')) {
      this.#word(text, start)
      this.report('syntax', 'a word cannot begin with "-"', this.#until(start).span, 'put it in quotes')
      return this.#token('invalid', text, start)
    }
    return this.#word(text, start)
  }

  #word(begun: string, start: Place): Token {
    let text = begun
    for (;;) {
      const char = this.#peek()
      if (!inWord.test(char) || neverInWord.has(char)) break
      text += char
      this.#advance()
    }
    if (text.length > maximumStringBytes) return this.#tooLong(start)
    return this.#token(this.#options.keywords.has(text) ? 'keyword' : 'word', text, start)
  }

  #skipBlanks(): void {
    for (;;) {
      const char = this.#peek()
      if (char === noBreakSpace) this.#tellNoBreakSpace()
      else if (char !== ' ' && char !== '\t') return
      this.#advance()
    }
  }

  /** Text pasted from a web page: a blank here, told once for a file. */
  #tellNoBreakSpace(): void {
    const { path } = this.#file()
    if (this.#noBreakSpacesIn.has(path)) return
    this.#noBreakSpacesIn.add(path)
    const hint = 'replace it by a blank; OpenSMTPD refuses it'
    this.tolerate('no-break-space', 'a no-break space (U+00A0) stands for a blank', this.#place().span, hint)
  }

  /** Up to the end of the logical line: a backslash at its end hides the next line too. */
  #skipComment(): void {
    for (;;) {
      const char = this.#peekRaw()
      if (char === '' || char === '\n') return
      const place = char === '\\' ? this.#place() : undefined
      this.#advanceRaw()
      if (place === undefined || this.#peekRaw() !== '\n') continue
      this.#advanceRaw()
      this.#tellHiddenLine(place)
    }
  }

  /** Behind a comment that ends in a backslash: a line that would have said something. */
  #tellHiddenLine({ span }: Place): void {
    const frame = this.#top()
    if (
      frame === undefined ||
      frame.kind === 'macro' ||
      /^[ \t]*(?:#|\n|$)/.test(frame.text.slice(frame.at, frame.at + 80))
    )
      return
    const message = 'the backslash makes the next line a part of this comment'
    this.warn('no-effect', message, span, 'remove the backslash, or write "#" before that line too')
  }

  /** The character under the cursor; continued lines are joined and a lone backslash is dropped. */
  #peek(): string {
    for (;;) {
      const char = this.#peekRaw()
      const frame = this.#top()
      if (char !== '\\' || frame === undefined || frame.literalAt === frame.at) return char
      const next = frame.text[frame.at + 1]
      if (next === '\n') {
        this.#advanceRaw()
        this.#advanceRaw()
        continue
      }
      if (next === ' ' || next === '\t') {
        if (this.#continuesAfterBlanks()) continue
      }
      if (next === undefined) return char
      this.#advanceRaw()
      frame.literalAt = frame.at
    }
  }

  /** Backslash, blanks, line end: continues here with a warning; OpenSMTPD ends the line. */
  #continuesAfterBlanks(): boolean {
    const frame = this.#top()
    const blanks = /^\\[ \t]+\n/.exec(frame?.text.slice(frame.at, frame.at + 256) ?? '')
    if (frame === undefined || blanks === null) return false
    const place = this.#place()
    const span = { ...place.span, length: blanks[0].length - 1 }
    const message = 'blanks stand between the backslash and the end of the line'
    const hint = 'remove them; OpenSMTPD does not continue the line here'
    this.tolerate('portability', message, span, hint)
    frame.at += blanks[0].length
    return true
  }

  #advance(): void {
    if (this.#peekRaw() !== '') this.#advanceRaw()
  }

  #peekRaw(): string {
    for (;;) {
      const frame = this.#top()
      if (frame === undefined) return ''
      const char = frame.text[frame.at]
      if (char !== undefined) return char
      if (frame.kind === 'file') return ''
      this.#frames.pop()
    }
  }

  #advanceRaw(): void {
    const frame = this.#top()
    if (frame !== undefined) frame.at += 1
  }

  #top(): Frame | undefined {
    return this.#frames.at(-1)
  }

  #file(): Frame {
    const frame = this.#frames.findLast((one) => one.kind === 'file')
    if (frame === undefined) throw new Error('a lexer without a file')
    return frame
  }

  #place(): Place {
    if (this.#top()?.kind === 'macro' && this.#macroSite !== undefined) return this.#macroSite
    const file = this.#file()
    const line = lineAt(file.lineStarts, file.at)
    const begins = file.lineStarts[line] ?? 0
    const sourceLine = file.text.slice(begins, (file.lineStarts[line + 1] ?? file.text.length + 1) - 1)
    const span = { file: file.path, line: line + 1, column: file.at - begins + 1, length: 1, sourceLine }
    return { span, offset: file.at }
  }

  #until(start: Place): Place {
    const file = this.#file()
    const length = this.#macroSite === start ? start.span.length : Math.max(1, file.at - start.offset)
    return { span: { ...start.span, length }, offset: start.offset }
  }

  #token(kind: Token['kind'], text: string, start: Place): Token {
    const { span } = this.#until(start)
    return { kind, text, span, from: start.offset, to: start.offset + span.length }
  }
}

/** The text as a quoted string that the lexer reads back as it was. */
export function quoteString(text: string): string {
  const inside = text.replaceAll('"', '\\"').replaceAll(/\\(?=[ \t])/g, '\\\\')
  return `"${inside}${inside.endsWith('\\') ? '\\\n' : ''}"`
}

/** A definition is lexed in place; a bare path, which could not be, stands for the string it is. */
function asLexed(value: string): string {
  return /^(?:\/|\.{1,2}\/|~\/)/.test(value) ? quoteString(value) : value
}

function openFile(path: string, raw: string): Frame {
  const text = raw.replace(/^\u{FEFF}/u, '').replaceAll('\r\n', '\n')
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  return { kind: 'file', path, text, lineStarts, at: 0, literalAt: -1 }
}

function lineAt(lineStarts: readonly number[], offset: number): number {
  let low = 0
  let high = lineStarts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((lineStarts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9' && char.length === 1
}

function isForbidden(char: string): boolean {
  return char === '\f' || char === '\r' || char < ' ' || char > '~'
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'there is no such file'
  return error instanceof Error ? error.message : String(error)
}
