import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './diagnostic.ts'
import { loadConfiguration } from './load.ts'
import type { PipelineSettings } from './model.ts'

const smtpd = `listen on eth0 port 25
listen on eth0 port 587 tag Users
action "scan" relay host "queue://filter"
action "out" relay
match tag Filtered for any action "out"
match for any action "scan"
`

async function load(...lines: readonly string[]): Promise<PipelineSettings['beforeAccept']> {
  const texts = new Map([
    ['/etc/mail/smtpd.conf', smtpd],
    ['/etc/mail/pipeline.conf', lines.join('\n')],
  ])
  const paths = { smtpdConf: '/etc/mail/smtpd.conf', pipelineConf: '/etc/mail/pipeline.conf' }
  const { configuration, warnings } = await loadConfiguration({ ...paths, texts, hostname: 'mail.example.org' })
  assert.deepEqual(warnings, [])
  return configuration.pipeline.beforeAccept
}

test('the deadline is read for all listeners, for a place, and for a tag', async () => {
  const at = (line: number) => ({ file: '/etc/mail/pipeline.conf', line, column: 1 })
  assert.deepEqual(
    await load(
      'filter before-accept deadline 8s',
      'filter before-accept on "eth0:25" deadline 1m',
      'filter before-accept on "eth0" deadline 3s',
      'filter before-accept tag users deadline 1s',
    ),
    [
      { at: at(1), deadlineMs: 8_000 },
      { at: at(2), for: { kind: 'listener', on: 'eth0', port: 25 }, deadlineMs: 60_000 },
      { at: at(3), for: { kind: 'listener', on: 'eth0' }, deadlineMs: 3_000 },
      { at: at(4), for: { kind: 'tag', tag: 'users' }, deadlineMs: 1_000 },
    ],
  )
  assert.deepEqual(await load(), [])
})

const faults: readonly (readonly [string, RegExp])[] = [
  ['filter before-accept', /expected `?"?deadline/],
  ['filter before-accept deadline', /the time a client waits/],
  ['filter before-accept deadline 61s', /60 seconds at most/],
  ['filter before-accept deadline 0s', /must be a duration/],
  ['filter before-accept deadline 8s on "eth0"', /end of the statement|expected/],
  ['filter before-accept on "eth1:25" deadline 8s', /there is no listener on "eth1:25"/],
  ['filter before-accept tag Friends deadline 8s', /no listener has the tag "Friends"/],
  ['filter before-accept tag USERS deadline 8s\nfilter before-accept tag Users deadline 9s', /there already/],
]

for (const [text, message] of faults)
  test(`what cannot be meant is told: ${text.replace('\n', '; ')}`, async () => {
    await assert.rejects(load(text), (error) => error instanceof ConfigurationError && message.test(error.message))
  })
