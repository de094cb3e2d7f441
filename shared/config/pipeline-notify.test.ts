import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { NoticeSettings } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'notify-'))
after(() => rmSync(folder, { recursive: true }))

async function load(...lines: readonly string[]): Promise<NoticeSettings> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, 'listen on lo port 25\naction "out" relay\nmatch for any action "out"\n')
  writeFileSync(paths.pipelineConf, lines.join('\n'))
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration.pipeline.notices
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
