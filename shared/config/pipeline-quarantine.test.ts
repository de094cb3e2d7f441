import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()

const reachable = 'dashboard listen "127.0.0.1:8080" url "https://mail.example.org/mail/"'

test('each word of quarantine and its digests counts, in one statement or two', async () => {
  const dayMs = 86_400_000
  const { quarantine, dashboard } = await load(
    'quarantine keep 30d digest every 2d at "07:05" to recipients',
    reachable,
  )
  assert.deepEqual(quarantine, { keepMs: 30 * dayMs, digest: { everyMs: 2 * dayMs, atMinute: 425, to: 'recipients' } })
  assert.equal(dashboard.url, 'https://mail.example.org/mail')
  const second = await load(reachable, 'quarantine digest every 4h to "postmaster@example.org"', 'quarantine keep 1d')
  assert.deepEqual(second.quarantine, { keepMs: dayMs, digest: { everyMs: 14_400_000, to: 'postmaster@example.org' } })
  assert.deepEqual((await load(reachable, 'quarantine digest every 15m')).quarantine.digest, {
    everyMs: 900_000,
    to: 'recipients',
  })
  assert.deepEqual((await load('')).quarantine, {})
})

test('what digests cannot be sent by is refused, with what to write instead', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['quarantine digest every 1d'], /the dashboard, and it is not told[^]*hint: dashboard listen .* url "https:/],
    [[`${reachable} read-only`, 'quarantine digest every 1d'], /the dashboard is read-only/],
    [[reachable, 'quarantine digest every 14m'], /every 15m at most/],
    [[reachable, 'quarantine digest every 36h at "07:00"'], /with "at" digests are sent every so many days/],
    [[reachable, 'quarantine digest every 1d at "24:00"'], /"24:00" is no time of the day/],
    [[reachable, 'quarantine digest every 1d at "7"'], /"7" is no time of the day/],
    [[reachable, 'quarantine digest every 1d to "everybody"'], /"everybody" is not an address/],
    [[reachable, 'quarantine digest 1d'], /every/],
    [[reachable, 'quarantine digest every 1d', 'quarantine digest every 2d'], /"quarantine digest" is stated already/],
    [['quarantine keep 1d keep 2d'], /"quarantine keep" is stated already/],
    [['quarantine'], /keep/],
    [['dashboard listen "127.0.0.1:8080" url "mail.example.org"'], /is no address of a web server/],
    [['dashboard listen "127.0.0.1:8080" url "https://x/?a=1"'], /is no address of a web server/],
  ]
  for (const [lines, told] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && told.test(error.message),
      lines.join(' | '),
    )
})
