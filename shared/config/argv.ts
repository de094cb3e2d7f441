import { expandFormat, faultOfFormat, FormatError } from './format.ts'
import type { FormatValues } from './format.ts'

/** A command that cannot be run without a shell, or that would hand a stranger's text to one. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** One argument as written; its values are put in when it is whole, so that none of them can end it or begin another. */
export interface CommandWord {
  readonly pieces: readonly Piece[]
  /** Some of it stood in quotes: it is an argument even when it is empty. */
  readonly quoted: boolean
}

type Piece =
  | { readonly kind: 'text'; readonly text: string }
  /** `%{...}`. */
  | { readonly kind: 'format'; readonly text: string }
  /** `$NAME`: a variable of the command's environment. */
  | { readonly kind: 'variable'; readonly name: string }
  /** `~` at the very start. */
  | { readonly kind: 'home' }

export interface CommandValues {
  readonly format: FormatValues
  /** The environment of the command. */
  readonly variables: ReadonlyMap<string, string>
  readonly delimiter: string
  /** Wrappers: the argv of the wrapped command. */
  readonly mda?: readonly string[]
}

/** Names of the environment of a command (SMTPD_CONF section 8.1). */
export const commandVariables = [
  'PATH',
  'SHELL',
  'HOME',
  'USER',
  'LOGNAME',
  'LOCAL',
  'DOMAIN',
  'EXTENSION',
  'RECIPIENT',
  'ORIGINAL_RECIPIENT',
  'SENDER',
] as const

/**
 * Splits a command as a shell does: blanks, both kinds of quotes, backslashes, `$NAME` outside of single quotes. What needs a
 * shell is refused, as the command is run without one.
 * @throws CommandError
 */
export function parseCommand(text: string): readonly CommandWord[] {
  const words = new Splitter(text).split()
  const [program] = words
  if (program === undefined) throw new CommandError('the command is empty')
  if (program.pieces.some((piece) => !isFixed(piece)))
    throw new CommandError('the program depends on the message: name it in full')
  if (/^[A-Za-z_]\w*=/.test(constantText(program))) throw new CommandError('a variable is set: write env before it')
  refuseShellText(words)
  return words
}

/** What is wrong with a command of smtpd.conf, if anything. A wrapper has the wrapped command in it as one word. */
export function faultOfCommand(text: string, kind: 'mda' | 'wrapper'): string | undefined {
  try {
    const words = parseCommand(text)
    const formats = words.flatMap((word) => word.pieces.flatMap((piece) => (piece.kind === 'format' ? piece.text : [])))
    const [fault] = formats.map((format) => faultOfFormat(format)).filter((one) => one !== undefined)
    if (fault !== undefined) return fault
    const wrapped = formats.filter((format) => isMda(format)).length
    if (kind === 'mda') return wrapped === 0 ? undefined : 'only a wrapper has "%{mda}"'
    return wrapped === 1 && words.some((word) => isWrapped(word))
      ? undefined
      : 'a wrapper has "%{mda}" as one word, once'
  } catch (error) {
    if (error instanceof CommandError) return error.message
    throw error
  }
}

/**
 * The argv of a command. Without `raw`, what means something to a shell becomes `:` in a value, for programs that hand it to
 * one; a value never makes an option of its argument: a dash it begins with becomes `:` too, but behind `--`.
 * @throws FormatError
 */
export function expandCommand(words: readonly CommandWord[], values: CommandValues): readonly string[] {
  const argv: string[] = []
  let optionsEnded = false
  for (const word of words) {
    if (isWrapped(word)) {
      argv.push(...(values.mda ?? []))
      continue
    }
    const texts = word.pieces.map((piece) => expandPiece(piece, values))
    const argument = texts.join('')
    if (argument === '' && !word.quoted) continue
    if (argument.includes('\0')) throw new FormatError('a command takes no NUL')
    const begins = word.pieces[texts.findIndex((text) => text !== '')]
    const fromValue = begins !== undefined && !isFixed(begins)
    argv.push(fromValue && !optionsEnded ? argument.replace(/^-/, ':') : argument)
    optionsEnded ||= argument === '--'
  }
  return argv
}

function expandPiece(piece: Piece, { format, variables, delimiter }: CommandValues): string {
  switch (piece.kind) {
    case 'text':
      return piece.text
    case 'home':
      return format.directory
    case 'variable':
      return variables.get(piece.name) ?? ''
    case 'format': {
      const text = expandFormat(piece.text, format, delimiter)
      return isRaw(piece.text) || isHome(piece.text) ? text : text.replaceAll(/["();<>\\^[\]\s]/g, ':')
    }
  }
}

class Splitter {
  readonly #text: string
  readonly #words: CommandWord[] = []
  #at = 0
  #pieces: Piece[] = []
  #quoted = false

  constructor(text: string) {
    this.#text = text
  }

  split(): readonly CommandWord[] {
    while (this.#at < this.#text.length) this.#step()
    this.#endWord()
    return this.#words
  }

  #step(): void {
    const char = this.#text[this.#at] ?? ''
    if (/[ \t]/.test(char)) {
      this.#at += 1
      this.#endWord()
    } else if (char === "'" || char === '"') this.#readQuotes(char)
    else if (char === '\\') this.#addEscaped(/[^\n]/)
    else if (char === '~' && this.#isAtWordStart()) this.#addHome()
    else if (char === '#' && this.#isAtWordStart()) throw needsShell('#')
    else if (/[|&;<>()`*?[\n\r]/.test(char)) throw needsShell(char)
    else this.#addOne(true)
  }

  #readQuotes(quote: string): void {
    this.#quoted = true
    this.#at += 1
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined) throw new CommandError(`a ${quote} has no end`)
      if (char === quote) break
      if (quote === '"' && char === '\\') this.#addEscaped(/["$`\\]/)
      else if (quote === '"' && char === '`') throw needsShell(char)
      else this.#addOne(quote === '"')
    }
    this.#at += 1
  }

  /** A specifier, a variable where they are known, or the next character. */
  #addOne(variables: boolean): void {
    const rest = this.#text.slice(this.#at)
    const [format] = /^%\{[^}]*\}/.exec(rest) ?? []
    if (format !== undefined) return this.#add({ kind: 'format', text: format }, format.length)
    if (rest.startsWith('%{')) throw new CommandError('a "%{" has no "}"')
    if (rest.startsWith('%%')) return this.#add({ kind: 'text', text: '%' }, 2)
    if (!variables || !rest.startsWith('$')) return this.#add({ kind: 'text', text: rest[0] ?? '' }, 1)
    const [written, braced, plain] = /^\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/.exec(rest) ?? []
    const name = braced ?? plain
    if (written === undefined || name === undefined) throw needsShell('$')
    if (!commandVariables.some((one) => one === name))
      throw new CommandError(`there is no variable ${name}: only ${commandVariables.join(', ')}`)
    this.#add({ kind: 'variable', name }, written.length)
  }

  #addEscaped(escaped: RegExp): void {
    const next = this.#text[this.#at + 1]
    if (next !== undefined && escaped.test(next)) this.#add({ kind: 'text', text: next }, 2)
    else this.#add({ kind: 'text', text: '\\' }, 1)
  }

  #addHome(): void {
    const first = this.#words.length === 0
    if (!first || this.#text[this.#at + 1] !== '/') throw needsShell('~')
    this.#add({ kind: 'home' }, 1)
  }

  #add(piece: Piece, length: number): void {
    this.#pieces.push(piece)
    this.#at += length
  }

  #isAtWordStart(): boolean {
    return this.#pieces.length === 0 && !this.#quoted
  }

  #endWord(): void {
    if (this.#pieces.length > 0 || this.#quoted) this.#words.push({ pieces: this.#pieces, quoted: this.#quoted })
    this.#pieces = []
    this.#quoted = false
  }
}

function needsShell(char: string): CommandError {
  return new CommandError(`commands are run without a shell, which ${JSON.stringify(char)} would need`)
}

const shells = /(?:^|\/)(?:a|ba|c|da|fi|k|mk|tc|z)?sh$|(?:^|\/)su$/

/** Behind `sh -c` a value would be part of a program. */
function refuseShellText(words: readonly CommandWord[]): void {
  const shell = words.findIndex((word) => shells.test(constantText(word)))
  if (shell < 0) return
  const option = words.findIndex((word, index) => index > shell && /^-[A-Za-z]*c[A-Za-z]*$/.test(constantText(word)))
  const script = option < 0 ? undefined : words[option + 1]
  if (script?.pieces.every((piece) => piece.kind === 'text' || piece.kind === 'home') ?? true) return
  throw new CommandError('a value in the text of a shell could be a command: write sh -c \'... "$1"\' sh VALUE')
}

/** The operator's own text, not the message's. */
function isFixed(piece: Piece): boolean {
  return piece.kind === 'text' || piece.kind === 'home' || (piece.kind === 'format' && isHome(piece.text))
}

function constantText(word: CommandWord): string {
  return word.pieces.map((piece) => (piece.kind === 'text' ? piece.text : '\0')).join('')
}

function isWrapped({ pieces: [piece, ...more] }: CommandWord): boolean {
  return piece?.kind === 'format' && more.length === 0 && isMda(piece.text)
}

function isMda(format: string): boolean {
  return /^%\{mda\}$/i.test(format)
}

function isHome(format: string): boolean {
  return /^%\{user\.directory\b/i.test(format)
}

function isRaw(format: string): boolean {
  return /[:|]raw(?=[|}])/i.test(format)
}
