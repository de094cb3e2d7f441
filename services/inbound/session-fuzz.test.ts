import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fuzzSessions } from '../../test/fuzz/session-fuzz.ts'

test('whatever strangers send, replies are replies, and only what CR LF . CR LF ended is taken, for our domains only', async () => {
  const { sessions, replies, ...taken } = await fuzzSessions({ seed: 1, goesOn: (done) => done < 240 })
  assert.equal(sessions, 240)
  assert.ok(replies > 100)
  for (const [what, messages] of Object.entries(taken)) assert.ok(messages > 0, `nothing was tried: ${what}`)
})
