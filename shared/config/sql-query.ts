import { partOfKey } from './key-template.ts'
import type { KeyPart } from './key-template.ts'

/** A statement with places for a key, which never becomes part of its text. */
export interface SqlQuery {
  /** With `?`, or `$1`, `$2` for PostgreSQL. */
  readonly text: string
  /** What stands in each place. */
  readonly places: readonly KeyPart[]
}

/** A query cannot be used; the message says why. */
export class SqlQueryError extends Error {
  override readonly name = 'SqlQueryError'
}

/**
 * OpenSMTPD's `?` (`$1` for PostgreSQL) and Postfix's `'%s'`, `'%u'`, `'%d'`, with or without quotes, become places. One inside a
 * longer text in quotes is refused: it could not be a place.
 * @throws SqlQueryError
 */
export function parseSqlQuery(written: string, dialect: 'mysql' | 'postgres' | 'sqlite'): SqlQuery {
  const places: KeyPart[] = []
  const place = (part: KeyPart): string => {
    places.push(part)
    return dialect === 'postgres' ? `$${places.length}` : '?'
  }
  const text = written
    .trim()
    .replace(/;\s*$/, '')
    .replace(tokens, (token) => {
      const [, part] = /^'?%([sud])'?$/.exec(token) ?? []
      if (part !== undefined) return place(part as KeyPart)
      if (/%[sud]/.test(token) && /^['"`]/.test(token))
        throw new SqlQueryError(`${token}: the key stands alone in its quotes; put texts together in SQL: '%s' || '@x'`)
      if (dialect === 'postgres' ? token === '$1' : token === '?') return place('s')
      if (/^\$\d+$/.test(token) && dialect === 'postgres') throw new SqlQueryError(`${token}: there is one key, $1`)
      return token
    })
  if (!/^(?:select|with|call|values|show)\b/i.test(text)) throw new SqlQueryError('a query begins with "select"')
  return { text, places }
}

/** Texts and names in quotes, comments, and what may be a place. */
const tokens = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|\/\*[\s\S]*?\*\/|\$\d+|\?|%[sud]/g

/** What stands in the places; `undefined`: the key has no domain, and the query wants it. */
export function valuesOf({ places }: SqlQuery, key: string): readonly string[] | undefined {
  const values = places.map((part) => partOfKey(key, part))
  return values.every((value) => value !== undefined) ? values : undefined
}
