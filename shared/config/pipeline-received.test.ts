import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()
const dayMs = 86_400_000

test('received reports are kept for 400 days and their mail goes on, unless it is said otherwise', async () => {
  assert.deepEqual((await load('')).receivedReports, { keepMs: 400 * dayMs, mail: 'pass' })
  const stated = await load('received-reports mail discard keep 90d')
  assert.deepEqual(stated.receivedReports, { keepMs: 90 * dayMs, mail: 'discard' })
})

test('what received-reports cannot mean is refused, with what to write instead', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['received-reports'], /keep/],
    [['received-reports keep 1h'], /a day at least[^]*400d/],
    [['received-reports keep'], /keep/],
    [['received-reports mail deliver'], /discard/],
    [['received-reports for ever'], /keep/],
    [['received-reports keep 1d', 'received-reports keep 2d'], /"received-reports" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})
