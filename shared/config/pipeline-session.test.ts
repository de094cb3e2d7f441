import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { Configuration } from './model.ts'
import { ConfigurationError, loadConfiguration } from './load.ts'
import { sessionSettings } from './session-rules.ts'
import type { SessionSettings } from './session-rules.ts'

const folder = mkdtempSync(join(tmpdir(), 'sessions-'))
after(() => rmSync(folder, { recursive: true }))

const smtpd = [
  'table nets { 10.0.0.0/8, 192.0.2.7 }',
  'listen on eth0 port 25',
  'listen on "2001:db8::1" port 2525 tag Out',
  'action "out" relay',
  'match for any action "out"',
].join('\n')

async function load(...lines: readonly string[]): Promise<Configuration> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, lines.join('\n'))
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration
}

/** Of the listener on port 25, and of the other one. */
async function settingsOf(...lines: readonly string[]): Promise<readonly SessionSettings[]> {
  const { listeners, pipeline } = await load(...lines)
  return listeners.map((listener) => sessionSettings(pipeline.sessions, listener))
}

test('each word of a session ends in the settings of every listener', async () => {
  const [first, second] = await settingsOf(
    'limit connections 300 per client 20 per network 100 except <nets>',
    'limit errors 5 commands 50 recipients-refused 60 auth-failures 2',
    'limit line 1000 header 64K message 10M hops 30',
    'limit idle 30s command 20s session 10m data 5m data-idle 1m data-rate 2K after 30s',
    'greeting wait 250ms',
    'client-hello wait 2s',
    'client-certificate ask',
    'banner "%{hostname} ESMTP Hello"',
    'helo required off',
    'vrfy off',
    'bare-line-ends repair',
  )
  const { connectionsExcept, ...settings } = first ?? {}
  assert.equal(connectionsExcept?.name, 'nets')
  assert.deepEqual(settings, {
    connections: 300,
    connectionsPerClient: 20,
    connectionsPerNetwork: 100,
    errors: 5,
    commands: 50,
    recipientsRefused: 60,
    authFailures: 2,
    lineBytes: 1000,
    headerBytes: 65_536,
    messageBytes: 10_485_760,
    hops: 30,
    idleMs: 30_000,
    commandMs: 20_000,
    sessionMs: 600_000,
    dataMs: 300_000,
    dataIdleMs: 60_000,
    dataRate: { bytesPerSecond: 2048, afterMs: 30_000 },
    greetingWaitMs: 250,
    clientHelloMs: 2_000,
    asksCertificate: true,
    banner: '%{hostname} ESMTP Hello',
    heloRequired: false,
    vrfy: false,
    bareLineEnds: 'repair',
  })
  assert.deepEqual(second, first)
})

test('what is said of a listener or a tag wins over what is said of all, whatever stands first', async () => {
  const [first, second] = await settingsOf(
    'limit on "eth0:25" errors 3',
    'limit errors 9 idle 1m',
    'greeting tag out wait off',
    'limit on "[2001:db8::1]:2525" line 512',
    'limit on "2001:db8::1" hops 7',
  )
  assert.deepEqual(first, { errors: 3, idleMs: 60_000 })
  assert.deepEqual(second, { errors: 9, idleMs: 60_000, greetingWaitMs: 0, lineBytes: 512, hops: 7 })
})

test('a file without these words changes no session', async () => {
  assert.deepEqual(await settingsOf(), [{}, {}])
})

const faults: readonly (readonly [line: string, message: RegExp])[] = [
  ['limit', /expected what is limited, found the end of the line/],
  ['limit erors 3', /did you mean "errors"\?/],
  ['limit errors 0', /at least 1/],
  ['limit errors many', /expected a number/],
  ['limit connections 5 per host 2', /client or network/],
  ['limit line 100', /100 octets are not between 512 and 12288/],
  ['limit idle 5', /must be a duration/],
  ['limit errors 3\nlimit errors 4', /"errors" is stated already for the same listeners/],
  ['limit errors 3 errors 4', /stated already/],
  ['limit on "eth1:25" errors 3', /there is no listener on "eth1:25"[^]*did you mean "eth0:25"/],
  ['limit on "eth0:26" errors 3', /there is no listener on "eth0:26"/],
  ['limit on "eth0:x" errors 3', /is not a listener/],
  ['vrfy tag Oud off', /no listener has the tag "Oud"[^]*did you mean "Out"/],
  ['vrfy maybe', /on or off/],
  ['greeting 5s', /expected "wait"/],
  ['client-hello off', /expected "wait"/],
  ['client-hello wait 5m', /clients would give up/],
  ['client-certificate demand', /expected ask or off/],
  ['greeting wait 5m', /clients would give up/],
  ['greeting wait "5 s"', /must be a duration/],
  ['helo off', /expected "required"/],
  ['banner "Welcome"', /begins with the name of this host[^]*%\{hostname\} Welcome/],
  ['banner "%{hostname} %{version}"', /there is no %\{version\}/],
  ['banner "%{hostname} é"', /visible ASCII/],
  ['bare-line-ends keep', /expected what becomes of them/],
  ['limit connections 5 except <none>', /there is no table "none"/],
]

for (const [line, message] of faults) {
  test(`a line that cannot be carried out is named: ${line.replaceAll('\n', ' / ')}`, async () => {
    await assert.rejects(
      load(line),
      (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
    )
  })
}
