/** One macro of a macro-string, such as `%{d2r-}` (RFC 7208 §7.1). */
export interface Macro {
  readonly letter: MacroLetter
  /** Upper case letter: what is inserted is URL-escaped. */
  readonly escaped: boolean
  /** So many parts from the right; absent: all. */
  readonly parts?: number
  readonly reversed: boolean
  /** What splits the value into parts. */
  readonly delimiters: string
}

export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'v' | 'h' | 'c' | 'r' | 't'

/** Text and macros in turn. */
export type MacroString = readonly (string | Macro)[]

/** A macro-string as it stands in a term. `undefined`: it breaks the syntax. */
export function parseMacroString(text: string): MacroString | undefined {
  return parseParts(text, /[\x21-\x24\x26-\x7e]+/y, domainLetters)
}

/** A domain-spec: a macro-string whose end can be a name (§7.1 domain-end). */
export function parseDomainSpec(text: string): MacroString | undefined {
  const parts = parseMacroString(text)
  if (parts === undefined) return undefined
  return endsInMacro.test(text) || endsInTopLabel(text) ? parts : undefined
}

/** What exp= leads to: blanks are allowed in it, and three letters more (§6.2, §7.2). */
export function parseExplanation(text: string): MacroString | undefined {
  return parseParts(text, /[\x20-\x24\x26-\x7e]+/y, `${domainLetters}crt`)
}

const domainLetters = 'slodipvh'
const endsInMacro = /%(?:\{[^{}]*\}|[%_-])$/

/** Letters, digits and inner hyphens behind a dot, not digits alone. */
function endsInTopLabel(text: string): boolean {
  const name = text.endsWith('.') ? text.slice(0, -1) : text
  const dot = name.lastIndexOf('.')
  const label = name.slice(dot + 1)
  return dot >= 0 && /^[A-Za-z0-9-]+$/.test(label) && !/^-|-$|^\d+$/.test(label)
}

function parseParts(text: string, literal: RegExp, letters: string): MacroString | undefined {
  const parts: (string | Macro)[] = []
  let index = 0
  while (index < text.length) {
    const found = matchAt(text[index] === '%' ? macroExpand : literal, text, index)
    const part = found === undefined ? undefined : partOf(found, letters)
    if (found === undefined || part === undefined) return undefined
    parts.push(part)
    index += found[0].length
  }
  return parts
}

const macroExpand = /%(?:([%_-])|\{([A-Za-z])(\d*)(r?)([.\-+,/_=]*)\})/iy

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | undefined {
  pattern.lastIndex = index
  return pattern.exec(text) ?? undefined
}

function partOf(found: RegExpExecArray, letters: string): string | Macro | undefined {
  const [whole, sign, letter, digits, reverse, delimiters] = found
  if (sign !== undefined) return signs[sign as keyof typeof signs]
  if (letter === undefined) return whole
  const lower = letter.toLowerCase()
  if (!letters.includes(lower)) return undefined
  const parts = digits === '' ? undefined : Number(digits)
  if (parts === 0) return undefined
  return {
    letter: lower as MacroLetter,
    escaped: letter !== lower,
    reversed: reverse !== '',
    delimiters: delimiters === undefined || delimiters === '' ? '.' : delimiters,
    ...(parts === undefined ? {} : { parts }),
  }
}

/** `%%`, `%_` and `%-` (§7.2). */
const signs = { '%': '%', _: ' ', '-': '%20' } as const

/** The macro with its value in place (§7.3). */
export function transformed(macro: Macro, value: string): string {
  const parts = splitAtAny(value, macro.delimiters)
  if (macro.reversed) parts.reverse()
  const text = parts.slice(-(macro.parts ?? parts.length)).join('.')
  return macro.escaped ? urlEscaped(text) : text
}

function splitAtAny(value: string, delimiters: string): string[] {
  const parts = ['']
  for (const character of value) {
    if (delimiters.includes(character)) parts.push('')
    else parts.push((parts.pop() ?? '') + character)
  }
  return parts
}

/** All but the unreserved characters of RFC 3986 §2.3. */
function urlEscaped(text: string): string {
  return [...Buffer.from(text)]
    .map((octet) => String.fromCharCode(octet))
    .map((character) =>
      /[A-Za-z0-9\-._~]/.test(character)
        ? character
        : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('')
}
