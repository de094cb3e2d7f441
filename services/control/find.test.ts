import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { openStoreWriter } from '../../shared/store/open-store.ts'
import { sqlitePlace } from '../../shared/store/store-place.ts'
import { deliveredStory, testId, testStore } from '../../shared/store/testing.ts'
import { runTrimmed } from './testing.ts'
import { mkdir, rename } from 'node:fs/promises'

test('messages are found on the command line, as a table or as JSON, and traced', async (t) => {
  const store = await testStore(t)
  const [one, other] = [testId(), testId()]
  await store.write([...deliveredStory(one), ...deliveredStory(other, 'eve@example.org')])
  const data = join(store.folder, 'data')
  await mkdir(join(data, 'events'), { recursive: true })
  await rename(join(store.folder, 'sluice-a-1-0.ndjson'), join(data, 'events', 'sluice-a-1-0.ndjson'))
  const ctl = (...args: readonly string[]) => runTrimmed([...args, '-d', data], {})

  const none = await ctl('find')
  assert.deepEqual([none.code, none.out], [1, ''])
  assert.match(none.errors, /there is no message store in .* yet: the service ledger makes it/)

  const writer = await openStoreWriter({
    folder: join(data, 'events'),
    place: sqlitePlace,
    now: () => 0,
    warn: assert.fail,
  })
  while ((await writer.tick()) > 0);
  await writer.close()
  const found = await ctl('find', 'to:eve@example.org status:delivered')
  assert.equal(found.errors, '')
  const [head = '', row = '', ...more] = found.out.split('\n')
  assert.match(head, /^id +time +state +from +to +said last$/)
  assert.match(row, new RegExp(`^${other} .* delivered +bob@remote.test +eve@example.org +250 2.0.0 Saved$`))
  assert.deepEqual(more, [])

  const first = JSON.parse((await ctl('find', '--limit', '1', '--json')).out) as {
    messages: { id: string }[]
    next: string
  }
  assert.equal(first.messages[0]?.id, other)
  const second = await ctl('find', '--limit', '1', '--before', first.next)
  assert.match(second.out, new RegExp(`^${one} `, 'm'))
  assert.match((await ctl('find', 'to:nobody@example.org')).out, /Nothing was found/)

  const refused = await ctl('find', 'form:jane')
  assert.equal(refused.code, 2)
  assert.match(refused.errors, /'form:' is not known: use id/)

  assert.equal((await ctl('find', '--searches')).out, 'No search is saved.')
  assert.equal((await ctl('find', '--save', 'Eve', 'to:eve@example.org')).out, "saved: sluicectl find --saved 'Eve'")
  assert.match((await ctl('find', '--saved', 'eve')).out, new RegExp(`^${other} `, 'm'))
  assert.match((await ctl('find', '--saved', 'eve', 'status:failed')).out, /Nothing was found/)
  assert.match((await ctl('find', '--searches')).out, /^Eve +to:eve@example.org +\S+ \(sluicectl\)/m)
  assert.match((await ctl('find', '--saved', 'joe')).errors, /there is no search 'joe'; there are: 'Eve'/)
  assert.match((await ctl('find', '--save', 'x', 'form:x')).errors, /'form:' is not known/)
  assert.match((await ctl('find', '--save', 'x')).errors, /goes with the QUERY/)
  assert.match((await ctl('find', '--save', 'x', '--saved', 'x', 'y')).errors, /do not go together/)
  assert.equal((await ctl('find', '--forget', 'EVE')).out, "search 'EVE' is deleted")
  assert.match((await ctl('find', '--forget', 'EVE')).errors, /there is no search 'EVE'/)

  const traced = await ctl('trace', one)
  assert.match(traced.out, /received from bob@remote.test for jane@example.org/)
  assert.equal(traced.out.split('\n').length, 5)
})
