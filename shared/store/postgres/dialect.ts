import type { Dialect } from '../sql.ts'

/** Text columns have the collation "C", so that letters of ASCII alone are folded, as SQLite does it. @param identity of this host */
export function postgresDialect(identity: string): Dialect {
  return {
    join: 'JOIN',
    fence: 'OFFSET 0',
    // With an OFFSET the planner does not make a join of it.
    hasCopy: (where) => `EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND ${where} OFFSET 0)`,
    by: (table) => `${table} k`,
    byDomain,
    localOf,
    domainOf: (column) => `lower(substr(${column}, strpos(${column}, '@') + 1))`,
    positionOf: (column, text) => `strpos(${column}, '${text}')`,
    like: (column) => `${column} ILIKE ? ESCAPE '\\'`,
    sameText: (column, texts) => ({
      text: `lower(${column}) IN (${texts.map(() => '?').join(', ')})`,
      values: texts.map(lowerAscii),
    }),
    words: (text) => ({
      from: 'copies k',
      key: 'k.message',
      where: { text: `${wordsOf('k.remote')} @@ CAST(? AS tsquery)`, values: [askedWords(text)] },
      isSorted: false,
    }),
    subjectWords: (text) => ({
      from: 'messages k',
      key: 'k.message',
      where: {
        text: `k.subject IS NOT NULL AND ${wordsOf('k.subject')} @@ CAST(? AS tsquery)`,
        values: [askedWords(text)],
      },
      isSorted: false,
    }),
    hostName: '(SELECT name FROM hosts WHERE hosts.host = m.host)',
    isOwn: { text: 'm.host = (SELECT host FROM hosts WHERE identity = ?)', values: [identity] },
    ownFact: (name) => `${name}, ${identity}`,
  }
}

export function byDomain(column: string): string {
  const at = `strpos(${column}, '@')`
  return `lower(substr(${column}, ${at} + 1) || '@' || left(${column}, greatest(${at} - 1, 0)))`
}

export function localOf(column: string): string {
  return `lower(left(${column}, greatest(strpos(${column}, '@') - 1, 0)))`
}

/**
 * Words as the index has them, and as a query names them: letters and digits of ASCII, and all that is not ASCII. The parsers of
 * PostgreSQL would take `mx.example.net` and `2.0.0` for one word each.
 */
export function wordsOf(column: string): string {
  const spaced = `trim(regexp_replace(lower(${column}), '[^a-z0-9\\u0080-\\U0010ffff]+', ' ', 'g'))`
  return `array_to_tsvector(string_to_array(${spaced}, ' '))`
}

/** All of them; the last may go on. */
function askedWords(text: string): string {
  const words = lowerAscii(text).match(/[a-z0-9\u0080-\u{10ffff}]+/gu) ?? []
  return `${words.map((word) => `'${word.slice(0, mostWord)}'`).join(' & ')}:*`
}

/** No remote text that is kept is longer. */
const mostWord = 500

function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}
