import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()

test('that strangers may relay is said for all listeners, or for some', async () => {
  const rulesOf = async (...lines: readonly string[]) =>
    (await load(...lines)).strangersRelay.map(({ at: { line }, for: choice }) => [line, choice])
  assert.deepEqual(await rulesOf(''), [])
  assert.deepEqual(await rulesOf('strangers may relay'), [[1, undefined]])
  assert.deepEqual(await rulesOf('strangers may relay on "lo:25"'), [[1, { kind: 'listener', on: 'lo', port: 25 }]])
})

test('it is said in these words, once, and for listeners that are there', async () => {
  const rows: readonly (readonly [lines: readonly string[], message: RegExp])[] = [
    [['strangers'], /expected "may"/],
    [['strangers may send'], /expected "relay"/],
    [['strangers may relay everywhere'], /expected the end of the line/],
    [['strangers may relay', 'strangers may relay'], /may relay there already/],
    [['strangers may relay on "eth7"'], /no listener on "eth7"/],
    [['strangers may relay tag Front'], /no listener has the tag "Front"/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})
