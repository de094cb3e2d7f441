import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PendingLookup } from './external-table.ts'
import type { ExternalTable, TableAnswer } from './external-table.ts'
import { ExternalTables } from './external-tables.ts'
import type { Table } from './model.ts'

function table(name: string): Table {
  return { name, source: { kind: 'static', value: name }, at: { file: 'smtpd.conf', line: 1, column: 1 } }
}

/** Tables whose server swallows each question for five seconds of the clock, but that of `users`. */
function silentTables() {
  const clock = { nowMs: 1_000_000 }
  const put: string[] = []
  const lookup = async (name: string): Promise<TableAnswer> => {
    put.push(name)
    if (name === 'users') return { value: 'jane' }
    clock.nowMs += 5_000
    throw new Error('no answer in time')
  }
  const open = ({ name }: Table): ExternalTable => ({
    lookup: () => lookup(name),
    check: () => lookup(name),
    fetch: () => lookup(name),
    update: async () => {},
    close: async () => {},
  })
  const tables = new ExternalTables({ open, now: () => clock.nowMs, onWarning: assert.fail })
  const ask = async (name: string, key: string): Promise<string> => {
    try {
      return tables.answer(table(name), { ask: 'lookup', service: 'alias', key }).value ?? ''
    } catch (error) {
      assert.ok(error instanceof PendingLookup)
      return error.answer.then(
        ({ value = '' }) => value,
        ({ message }: Error) => message,
      )
    }
  }
  return { tables, put, ask }
}

test('a table that was silent three times costs other keys nothing, and other tables answer; a reload asks again', async () => {
  const { tables, put, ask } = silentTables()
  for (const key of ['a', 'b', 'c']) assert.equal(await ask('away', key), 'table "away": no answer in time')
  assert.match(await ask('away', 'd'), /^table "away": it is left alone for a moment/)
  assert.equal(await ask('users', 'jane'), 'jane')
  assert.deepEqual(put, ['away', 'away', 'away', 'users'])
  await tables.follow([table('away'), table('users')])
  assert.equal(await ask('away', 'd'), 'table "away": no answer in time')
})
