import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import type { NoticeSettings } from './model.ts'
import { pipelineLoader } from './testing.ts'

const loadWhole = pipelineLoader()

async function load(...lines: readonly string[]): Promise<NoticeSettings> {
  return (await loadWhole(...lines)).notices
}

test('who is told of what, and how often', async () => {
  const hourMs = 3_600_000
  assert.deepEqual(await load(''), { admins: [] })
  assert.deepEqual(
    await load(
      'notify "root@example.org" of virus spam, banned',
      'notify "abuse@example.org" of spam limit 5/1d for tag ORIGINATING',
      'notify senders of bad-header',
    ),
    {
      admins: [
        { to: 'root@example.org', of: ['virus', 'spam', 'banned'], limit: { count: 10, periodMs: hourMs } },
        { to: 'abuse@example.org', of: ['spam'], tag: 'ORIGINATING', limit: { count: 5, periodMs: 24 * hourMs } },
      ],
      badHeader: { count: 1, periodMs: 24 * hourMs },
    },
  )
  assert.deepEqual((await load('notify senders of bad-header limit 2/7d')).badHeader, {
    count: 2,
    periodMs: 168 * hourMs,
  })
})

test('what cannot be meant is refused with what to write', async () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['notify root of virus', /"root" is not an address[^]*senders/],
    ['notify "root@x.org"', /of/],
    ['notify "root@x.org" of', /what is told/],
    ['notify "root@x.org" of ham', /what is told/],
    ['notify "root@x.org" of virus limit 10', /is not a rate/],
    ['notify "root@x.org" of virus daily', /an option of notify/],
    ['notify senders of virus', /bad-header/],
    ['notify senders of bad-header\nnotify senders of bad-header', /is stated already/],
  ]
  for (const [lines, told] of rows)
    await assert.rejects(load(lines), (error) => error instanceof ConfigurationError && told.test(error.message), lines)
})
