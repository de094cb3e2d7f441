import { byDomain, localOf } from './database.ts'
import { textTokens } from './query.ts'
import type { Dialect } from './sql.ts'

/** Of one host: nothing in it has another's. Its addresses and users are compared without case (NOCASE). */
export const sqliteDialect: Dialect = {
  join: 'CROSS JOIN',
  fence: '',
  hasCopy: (where) => `EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND ${where})`,
  by: (table, index) => `${table} k INDEXED BY ${index}`,
  byDomain,
  localOf,
  domainOf: (column) => `lower(substr(${column}, instr(${column}, '@') + 1))`,
  positionOf: (column, text) => `instr(${column}, '${text}')`,
  like: (column) => `${column} LIKE ? ESCAPE '\\'`,
  sameText: (column, texts) => ({ text: `${column} IN (${texts.map(() => '?').join(', ')})`, values: texts }),
  words(text) {
    const match = textTokens(text).map((token) => `"${token}"`)
    return {
      from: 'remote k',
      key: 'k.rowid',
      where: { text: 'remote MATCH ?', values: [`${match.join(' ')} *`] },
      isSorted: true,
    }
  },
  subjectWords: (text) => sqliteDialect.words(text),
  hostName: 'NULL',
  isOwn: { text: 'true', values: [] },
  ownFact: (name) => name,
}
