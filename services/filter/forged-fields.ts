import { fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'

export interface ForgedFieldsOptions {
  /** Names under which we write Authentication-Results. */
  readonly ownIds: readonly string[]
  /** `X-Spam`, `X-Virus`: fields of that name or beginning with it and a hyphen are a filter's to write; empty: leave them. */
  readonly prefixes: readonly string[]
}

/** So many single fields are removed one by one; a message with more of them loses all of the name. */
const maxSingle = 8
/** Other names behind the prefix than the known ones; a message with more of them keeps the rest, which nothing reads. */
const maxOtherNames = 24

/**
 * Edits that remove what a stranger wrote in our name: Authentication-Results with our authserv-id (RFC 8601 §5), and
 * what a filter says of spam and viruses.
 */
export function forgedFieldEdits(header: Buffer, options: ForgedFieldsOptions): HeaderEdit[] {
  const fields = headerFields(header)
  const own = new Set(options.ownIds.map((id) => id.toLowerCase()))
  const forged = new Set<string>()
  for (const field of fields) {
    if (field.name !== 'authentication-results') continue
    const value = fieldValue(field)
    if (own.has(authservId(value))) forged.add(value)
  }
  const results: HeaderEdit[] =
    forged.size > maxSingle
      ? [{ kind: 'remove', name: 'Authentication-Results' }]
      : [...forged].map((value) => ({ kind: 'remove', name: 'Authentication-Results', value }))
  const all = fields.map((field) => field.name)
  const names = options.prefixes.flatMap((prefix) => namesBehind(all, prefix.toLowerCase()))
  return [...results, ...names.map((name) => ({ kind: 'remove' as const, name }))]
}

function namesBehind(names: readonly string[], prefix: string): readonly string[] {
  const found = new Set(names.filter((name) => name === prefix || name.startsWith(`${prefix}-`)))
  const known = [prefix, ...readByRules.map((suffix) => `${prefix}-${suffix}`)].filter((name) => found.delete(name))
  return [...known, ...[...found].slice(0, maxOtherNames)]
}

/** What Sieve rules and mail programs look at. */
const readByRules = 'flag status score level report bar checker-version result action scanned'.split(' ')

/** The authserv-id: first word behind comments and blanks, quoted or not, in lower case (RFC 8601 §2.2). */
function authservId(value: string): string {
  let rest = skipComments(value)
  if (rest.startsWith('"')) {
    const end = rest.indexOf('"', 1)
    rest = rest.slice(1, end < 0 ? undefined : end)
    return rest.trim().toLowerCase()
  }
  return (/^[^\s;("]*/.exec(rest)?.[0] ?? '').toLowerCase()
}

function skipComments(value: string): string {
  let depth = 0
  for (let index = 0; index < value.length; index += 1) {
    const character = value[index] as string
    if (depth > 0 && character === '\\') index += 1
    else if (character === '(') depth += 1
    else if (depth > 0) depth -= character === ')' ? 1 : 0
    else if (character !== ' ' && character !== '\t') return value.slice(index)
  }
  return ''
}
