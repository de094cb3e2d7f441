import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { beginningOf } from './beginning-of.ts'

test('the beginning is cut where it was asked to end, and the rest is not read', async () => {
  let given = 0
  const endless = Readable.from(
    (function* () {
      for (;;) {
        given += 1
        yield Buffer.from('abcd')
      }
    })(),
    { highWaterMark: 1 },
  )
  assert.equal(String(await beginningOf(endless, 6)), 'abcdab')
  assert.ok(endless.destroyed && given < 10)
  assert.equal(String(await beginningOf(Readable.from([Buffer.from('ab'), Buffer.from('c')]), 6)), 'abc')
})
