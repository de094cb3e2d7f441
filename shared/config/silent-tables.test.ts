import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SilentTables } from './silent-tables.ts'

/** Questions to one table, each of which takes `tookMs` of the clock. */
function asking() {
  const clock = { nowMs: 1_000_000 }
  const tables = new SilentTables(() => clock.nowMs)
  let put = 0
  const ask = async (tookMs: number, reason?: string, id = 'users'): Promise<string> => {
    const before = put
    const outcome = tables
      .ask(id, async () => {
        put += 1
        clock.nowMs += tookMs
        if (reason !== undefined) throw new Error(reason)
        return 'answered'
      })
      .catch((error: Error) => error.message)
    return `${put > before ? 'asked' : 'spared'}: ${await outcome}`
  }
  return { tables, clock, ask }
}

test('a table that is silent three times is left alone, but for one question every two seconds', async () => {
  const { clock, ask } = asking()
  for (let nth = 0; nth < 3; nth += 1) assert.equal(await ask(5_000, 'no answer in time'), 'asked: no answer in time')
  assert.equal(await ask(0), 'spared: it is left alone for a moment: no answer in time')
  assert.equal(await ask(0, undefined, 'another'), 'asked: answered')
  clock.nowMs += 2_000
  assert.equal(await ask(5_000, 'no answer in time'), 'asked: no answer in time')
  assert.match(await ask(0), /^spared/)
  clock.nowMs += 2_000
  assert.equal(await ask(10), 'asked: answered')
  assert.equal(await ask(5_000, 'no answer in time'), 'asked: no answer in time')
  assert.equal(await ask(10), 'asked: answered', 'all is forgotten')
})

test('while one question tries again, the others are spared', async () => {
  const { tables, clock, ask } = asking()
  for (let nth = 0; nth < 3; nth += 1) await ask(5_000, 'no answer in time')
  clock.nowMs += 2_000
  let answer = (_text: string): void => {}
  const trial = tables.ask('users', () => new Promise<string>((resolve) => (answer = resolve)))
  assert.match(await ask(0), /^spared/)
  answer('back')
  assert.equal(await trial, 'back')
  assert.equal(await ask(10), 'asked: answered')
})

test('a table that refuses at once is asked each time: one bad key says nothing of the others', async () => {
  const { ask } = asking()
  for (let nth = 0; nth < 10; nth += 1) assert.equal(await ask(20, 'no such column'), 'asked: no such column')
})

test('neither a reload nor a clock that was set back leaves a table alone', async () => {
  const { tables, clock, ask } = asking()
  for (let nth = 0; nth < 3; nth += 1) await ask(5_000, 'no answer in time')
  clock.nowMs -= 3_600_000
  assert.equal(await ask(10), 'asked: answered')
  for (let nth = 0; nth < 3; nth += 1) await ask(5_000, 'no answer in time')
  tables.clear()
  assert.equal(await ask(10), 'asked: answered')
})
