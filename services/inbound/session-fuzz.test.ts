import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fuzzSessions } from '../../test/fuzz/session-fuzz.ts'

test('whatever strangers send, replies are replies, and only what CR LF . CR LF ended is taken, for our domains only', async () => {
  const { sessions, accepted, replies } = await fuzzSessions({ seed: 1, goesOn: (done) => done < 120 })
  assert.equal(sessions, 120)
  assert.ok(accepted > 0, 'nothing was tried: no message was taken')
  assert.ok(replies > 100)
})
