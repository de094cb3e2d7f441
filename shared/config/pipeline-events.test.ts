import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()
const dayMs = 86_400_000

test('events are kept for 30 days, unless it is said otherwise', async () => {
  assert.deepEqual((await load('')).events, { keepMs: 30 * dayMs })
  assert.deepEqual((await load('events keep 7d')).events, { keepMs: 7 * dayMs })
  assert.deepEqual((await load('events keep 90d 2G')).events, { keepMs: 90 * dayMs, maxBytes: 2 * 1024 ** 3 })
})

test('what events cannot mean is refused, with what to write instead', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['events'], /keep/],
    [['events 30d'], /keep/],
    [['events keep 1h'], /a day at least[^]*30d/],
    [['events keep 30d 10M'], /less than 256M[^]*2G/],
    [['events keep 30d much'], /not a size/],
    [['events keep 1d', 'events keep 2d'], /"events" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})

test('contents are kept for replays when it is said so, for a time and up to a size', async () => {
  assert.deepEqual((await load('')).replay, {})
  assert.deepEqual((await load('replay keep 7d')).replay, { keepMs: 7 * dayMs })
  assert.deepEqual((await load('replay keep 7d 20G')).replay, { keepMs: 7 * dayMs, maxBytes: 20 * 1024 ** 3 })
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['replay'], /keep/],
    [['replay 7d'], /keep/],
    [['replay keep 10s'], /a minute in any case[^]*7d/],
    [['replay keep 7d 10M'], /less than 256M[^]*20G/],
    [['replay keep 7d much'], /not a size/],
    [['replay keep 1d', 'replay keep 2d'], /"replay" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})
