/** One half of an address where it stands in the text. */
interface Half {
  readonly start: number
  readonly end: number
}

/** An addr-spec in an address list, or a local part that has no domain. */
export interface WrittenAddress {
  /** Without comments and blanks: `jane@example.org`, `"jane doe"@example.org`, `jane`. */
  readonly text: string
  readonly local: Half
  readonly domain?: Half
}

/**
 * The addresses of a field body that is an address list (RFC 5322 §3.4, with what §4.4 allows of old: blanks and comments around
 * dots and `@`). What is none, or has a source route, is left out: phrases, comments, names of groups, broken pieces.
 */
export function addressesIn(text: string): readonly WrittenAddress[] {
  return elementsOf(text).flatMap(({ tokens }) => addressOf(text, tokens) ?? [])
}

/**
 * The text with other addresses, everything around them as it was: names, comments, folding. `rewritten` gives what takes an
 * address's place, or undefined; it is asked for `text` of `addressesIn`. Lines that grow too long are folded behind a comma.
 */
export function replaceAddresses(text: string, rewritten: (address: string) => string | undefined): string {
  const pieces: string[] = []
  let lineLength = 0
  let at = 0
  const add = (piece: string): void => {
    pieces.push(piece)
    const lineEnd = piece.lastIndexOf('\n')
    lineLength = lineEnd < 0 ? lineLength + piece.length : piece.length - lineEnd - 1
  }
  const put = (half: Half, written: string): void => {
    add(text.slice(at, half.start))
    add(written)
    at = half.end
  }
  for (const { tokens, end } of elementsOf(text)) {
    const address = addressOf(text, tokens)
    const other = address === undefined ? undefined : rewritten(address.text)
    if (address !== undefined && other !== undefined && other !== address.text) replaceOne(address, other, put)
    if (at === 0 || end === text.length) continue
    add(text.slice(at, end + 1))
    at = end + 1
    if (lineLength > longestLine) add(foldBefore(text, at))
  }
  return at === 0 ? text : `${pieces.join('')}${text.slice(at)}`
}

/** RFC 5322 §2.1.1 allows 998; the next address must fit behind it too. */
const longestLine = 600

function foldBefore(text: string, at: number): string {
  if (text.startsWith('\r\n', at)) return ''
  return text[at] === ' ' || text[at] === '\t' ? '\r\n' : '\r\n '
}

function replaceOne({ text, local, domain }: WrittenAddress, other: string, put: (half: Half, text: string) => void) {
  const cut = other.lastIndexOf('@')
  const [otherLocal, otherDomain] = [other.slice(0, cut), other.slice(cut + 1)]
  if (domain === undefined) return put(local, other)
  const was = text.lastIndexOf('@')
  if (otherLocal !== text.slice(0, was)) put(local, otherLocal)
  if (otherDomain !== text.slice(was + 1)) put(domain, otherDomain)
}

type Kind = 'word' | 'dot' | 'at' | 'open' | 'close'

interface Token {
  readonly kind: Kind
  readonly start: number
  readonly end: number
}

/** What stands between two commas or semicolons. */
interface Element {
  /** Without comments and blanks; of the name of a group: none. */
  readonly tokens: readonly Token[]
  /** Place of what ends it. */
  readonly end: number
}

function elementsOf(text: string): readonly Element[] {
  const elements: Element[] = []
  let tokens: Token[] = []
  let inAngle = false
  for (let at = 0; at < text.length;) {
    const character = text[at] ?? ''
    const end = tokenEnd(text, at)
    if (!inAngle && (character === ',' || character === ';' || character === ':')) {
      elements.push({ tokens: character === ':' ? [] : tokens, end: at })
      tokens = []
    } else if (character !== '(' && !/\s/.test(character)) {
      if (character === '<') inAngle = true
      if (character === '>') inAngle = false
      tokens.push({ kind: kinds[character] ?? 'word', start: at, end })
    }
    at = end
  }
  elements.push({ tokens, end: text.length })
  return elements
}

const kinds: Readonly<Record<string, Kind>> = { '.': 'dot', '@': 'at', '<': 'open', '>': 'close' }

/** Place behind the token that begins here: a comment, a quoted string, a literal, an atom, or one character. */
function tokenEnd(text: string, start: number): number {
  if (text[start] === '(') return commentEnd(text, start)
  if (text[start] === '"') return closed(text, start, '"')
  if (text[start] === '[') return closed(text, start, ']')
  if (special.test(text[start] ?? '')) return start + 1
  let end = start + 1
  while (end < text.length && !special.test(text[end] ?? '')) end += 1
  return end
}

const special = /[\s()<>@,;:."[\]]/

function commentEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    const character = text[at]
    if (character === '\\') at += 1
    else if (character === '(') depth += 1
    else if (character === ')') {
      depth -= 1
      if (depth === 0) return at + 1
    }
  }
  return text.length
}

function closed(text: string, start: number, by: string): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === by) return at + 1
  }
  return text.length
}

/** `undefined`: it is none, or not one that can be taken for sure. */
function addressOf(text: string, element: readonly Token[]): WrittenAddress | undefined {
  const tokens = inBrackets(element)
  const at = tokens?.findIndex(({ kind }) => kind === 'at') ?? -1
  if (tokens === undefined) return undefined
  const local = half(at < 0 ? tokens : tokens.slice(0, at))
  const domain = at < 0 ? undefined : half(tokens.slice(at + 1))
  if (local === undefined || (at >= 0 && domain === undefined)) return undefined
  const said = (one: Half): string => text.slice(one.start, one.end)
  return domain === undefined ? { text: said(local), local } : { text: `${said(local)}@${said(domain)}`, local, domain }
}

/** What stands in `< >`, which may only end the element; all of it where there are no brackets. */
function inBrackets(tokens: readonly Token[]): readonly Token[] | undefined {
  const open = tokens.findIndex(({ kind }) => kind === 'open')
  const close = tokens.findIndex(({ kind }) => kind === 'close')
  if (open < 0) return close < 0 ? tokens : undefined
  return close === tokens.length - 1 ? tokens.slice(open + 1, close) : undefined
}

/** Words with dots between them, each behind the other with nothing in between. */
function half(tokens: readonly Token[]): Half | undefined {
  const [first, last] = [tokens[0], tokens.at(-1)]
  if (first === undefined || last === undefined || tokens.length % 2 === 0) return undefined
  for (const [index, { kind, start }] of tokens.entries()) {
    if (kind !== (index % 2 === 0 ? 'word' : 'dot')) return undefined
    if (index > 0 && tokens[index - 1]?.end !== start) return undefined
  }
  return { start: first.start, end: last.end }
}
