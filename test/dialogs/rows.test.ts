import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { elsewhereRows, seedFaults } from './rows/elsewhere.ts'
import { listenerRows } from './rows/listeners.ts'
import { policyRows } from './rows/policy.ts'
import { restrictionRows } from './rows/restrictions.ts'
import { testTalk } from './rows/row.ts'

/** What the seeds' mail servers do at the door: rows 1 to 84 of the list of capabilities. */
const doorRows = [...listenerRows, ...restrictionRows, ...policyRows]
const lastRow = 84
const lastFault = 15

for (const row of doorRows) testTalk(`row ${row.row}: ${row.what}`, row.site, row)

for (const [list, rows] of [
  ['row', elsewhereRows],
  ['fault', seedFaults],
] as const) {
  for (const { row, what, shownBy } of rows) {
    if ('issue' in shownBy) continue
    const [file, words] = shownBy
    test(`${list} ${row}: ${what}: shown by a test of its own`, () => {
      const text = readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')
      assert.ok(text.includes(words), `"${words}" in ${file}`)
    })
  }
}

test('no row and no fault is left out', () => {
  assert.deepEqual(missing([...doorRows, ...elsewhereRows], lastRow), [])
  assert.deepEqual(missing(seedFaults, lastFault), [])
})

function missing(rows: readonly { readonly row: number }[], last: number): readonly number[] {
  const told = new Set(rows.map(({ row }) => row))
  return Array.from({ length: last }, (_, index) => index + 1).filter((row) => !told.has(row))
}
