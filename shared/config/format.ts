/** Values of the format specifiers `%{...}` of maildir paths and commands (SMTPD_CONF section 8.3). */
export interface FormatValues {
  /** Reverse-path; empty for `<>`. */
  readonly sender: string
  /** Recipient as the client gave it. */
  readonly rcpt: string
  /** Recipient after expansion. */
  readonly dest: string
  readonly username: string
  /** Home folder; also what `~/` at the start stands for. */
  readonly directory: string
  /** The wrapped command, in wrappers. */
  readonly mda?: string
}

/** A specifier that is unknown or out of range; the delivery fails. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}

const specifier = /%(?:%|\{([^}]*)\})/g
const modifiers = new Set(['lowercase', 'uppercase', 'strip', 'raw'])

/**
 * Without the modifier `raw`, characters that mean something to a shell become `:`. A text with an unclosed `%{` stays as it is.
 * @throws FormatError
 */
export function expandFormat(format: string, values: FormatValues, delimiter = '+'): string {
  return expandWith(format, values, delimiter, (text) => text)
}

/**
 * The same for a path: a value cannot leave its place in it. `/` in a value becomes `:`, but not in `%{user.directory}`.
 * @throws FormatError also when a value is `.` or `..`
 */
export function expandPath(format: string, values: FormatValues, delimiter = '+'): string {
  return expandWith(format, values, delimiter, (text) => {
    if (text === '.' || text === '..') throw new FormatError(`"${text}" cannot be part of a path`)
    return text.replaceAll(/[/\u0000]/g, ':')
  })
}

/** What is wrong with a format, if anything: checked when the configuration is read. */
export function faultOfFormat(format: string): string | undefined {
  if (isUnclosed(format)) return 'a "%{" has no "}"'
  const sample = { sender: 'a@b.c', rcpt: 'a@b.c', dest: 'a@b.c', username: 'a', directory: '/a', mda: 'a' }
  for (const [, inside] of format.matchAll(specifier)) {
    if (inside === undefined) continue
    try {
      const { name, chosen } = readSpecifier(inside)
      valueOf(name, sample)
      checkModifiers(chosen)
    } catch (error) {
      if (error instanceof FormatError) return error.message
      throw error
    }
  }
  return undefined
}

function expandWith(format: string, values: FormatValues, delimiter: string, place: (text: string) => string): string {
  const home = format.startsWith('~/') ? values.directory : ''
  const rest = home === '' ? format : format.slice(1)
  if (isUnclosed(rest)) return home + rest
  return (
    home +
    rest.replace(specifier, (_, inside?: string) => {
      if (inside === undefined) return '%'
      const { name } = readSpecifier(inside)
      const value = expandSpecifier(inside, values, delimiter)
      return name === 'user.directory' || name === 'mda' ? value : place(value)
    })
  )
}

function expandSpecifier(inside: string, values: FormatValues, delimiter: string): string {
  const { name, range, chosen } = readSpecifier(inside)
  const value = valueOf(name, values)
  if (value === '') return ''
  checkModifiers(chosen)
  let text = range === undefined ? value : slice(value, range)
  for (const modifier of chosen) {
    if (modifier === 'lowercase') text = text.toLowerCase()
    if (modifier === 'uppercase') text = text.toUpperCase()
    if (modifier === 'strip') text = withoutSubAddress(text, delimiter)
  }
  if (chosen.includes('raw') || name === 'user.directory' || name === 'mda') return text
  return text.replaceAll(/[!#$%&'*?`{|}~]/g, ':')
}

interface Specifier {
  readonly name: string
  readonly range?: string
  readonly chosen: readonly string[]
}

function readSpecifier(inside: string): Specifier {
  const match = /^([a-z.]+)(?:\[([^\]]*)\])?(?::(.*))?$/i.exec(inside)
  if (match?.[1] === undefined) throw new FormatError(`"%{${inside}}" is not a format specifier`)
  const chosen = match[3] === undefined ? [] : match[3].toLowerCase().split('|')
  return { name: match[1].toLowerCase(), chosen, ...(match[2] === undefined ? {} : { range: match[2] }) }
}

function valueOf(name: string, values: FormatValues): string {
  const at = (address: string): number => address.lastIndexOf('@')
  const userOf = (address: string): string => address.slice(0, Math.max(0, at(address)))
  switch (name) {
    case 'sender':
    case 'rcpt':
    case 'dest':
      return values[name]
    case 'sender.user':
      return userOf(values.sender)
    case 'rcpt.user':
      return userOf(values.rcpt)
    case 'dest.user':
      return userOf(values.dest)
    case 'sender.domain':
      return values.sender.slice(at(values.sender) + 1)
    case 'rcpt.domain':
      return values.rcpt.slice(at(values.rcpt) + 1)
    case 'dest.domain':
      return values.dest.slice(at(values.dest) + 1)
    case 'user.username':
      return values.username
    case 'user.directory':
      return values.directory
    case 'mbox.from':
      return values.sender === '' ? 'MAILER-DAEMON' : values.sender
    case 'mda':
      return values.mda ?? ''
    default:
      throw new FormatError(`there is no format specifier "%{${name}}"`)
  }
}

function checkModifiers(chosen: readonly string[]): void {
  const unknown = chosen.find((modifier) => !modifiers.has(modifier))
  if (unknown !== undefined) throw new FormatError(`there is no modifier "${unknown}"`)
}

/** `[n]`, `[b:e]`, `[b:]`, `[:e]`: from the end when negative, the character at a positive `e` included. */
function slice(value: string, range: string): string {
  const match = /^(-?\d+)?(?:(:)(-?\d+)?)?$/.exec(range)
  if (match === null || range === '' || (match[1] === undefined && match[3] === undefined)) {
    throw new FormatError(`"[${range}]" is not a range`)
  }
  const length = value.length
  const from = (text: string): number => (text.startsWith('-') ? length + Number(text) : Number(text))
  const begin = match[1] === undefined ? 0 : from(match[1])
  let end = length
  if (match[2] === undefined) end = begin + 1
  else if (match[3] !== undefined) end = match[3].startsWith('-') ? from(match[3]) : from(match[3]) + 1
  if (begin < 0 || begin >= length || end <= begin) throw new FormatError(`"[${range}]" is outside of "${value}"`)
  return value.slice(begin, Math.min(end, length))
}

function withoutSubAddress(text: string, delimiter: string): string {
  const at = text.lastIndexOf('@')
  const user = at < 0 ? text : text.slice(0, at)
  const cut = user.indexOf(delimiter)
  return cut < 0 ? text : user.slice(0, cut) + (at < 0 ? '' : text.slice(at))
}

function isUnclosed(text: string): boolean {
  const open = text.replaceAll(/%%|%\{[^}]*\}/g, '')
  return open.includes('%{')
}
