import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { PipelineSettings } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'rates-'))
after(() => rmSync(folder, { recursive: true }))

const smtpd =
  'table nets { 10.0.0.0/8 }\nlisten on eth0 port 25 tag Public\naction "out" relay\nmatch for any action "out"\n'

async function load(...lines: readonly string[]): Promise<PipelineSettings> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, lines.join('\n'))
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration.pipeline
}

test('rates and bans are read with their numbers, times, listeners and exceptions', async () => {
  const { rates, bans } = await load(
    'rate client 100/1h messages except <nets>',
    'rate on "eth0:25" client 20/30s connections',
    'rate user "500/1d" recipients except { jane, "joe" }',
    'ban after 10 auth-failures in 10m for 1h',
    'ban tag public after 50 refused-recipients in 1h for 1d except <nets>',
    'ban after 9 protocol-errors in 1m for 30s',
  )
  const at = (line: number) => ({ file: join(folder, 'pipeline.conf'), line, column: 1 })
  assert.deepEqual(
    rates.map(({ except, ...rate }) => [rate, except?.name]),
    [
      [{ at: at(1), per: 'client', count: 100, periodMs: 3_600_000, unit: 'messages' }, 'nets'],
      [
        {
          at: at(2),
          for: { kind: 'listener', on: 'eth0', port: 25 },
          per: 'client',
          count: 20,
          periodMs: 30_000,
          unit: 'connections',
        },
        undefined,
      ],
      [{ at: at(3), per: 'user', count: 500, periodMs: 86_400_000, unit: 'recipients' }, '<inline 0>'],
    ],
  )
  assert.deepEqual(
    bans.map(({ count, offence, periodMs, durationMs, except }) => [
      count,
      offence,
      periodMs,
      durationMs,
      except?.name,
    ]),
    [
      [10, 'auth-failures', 600_000, 3_600_000, undefined],
      [50, 'refused-recipients', 3_600_000, 86_400_000, 'nets'],
      [9, 'protocol-errors', 60_000, 30_000, undefined],
    ],
  )
})

const faults: readonly (readonly [line: string, message: RegExp])[] = [
  ['rate 100/1h messages', /expected whose rate it is/],
  ['rate client 100 messages', /is not a rate[^]*100\/1h/],
  ['rate client messages', /is not a rate/],
  ['rate client 0/1h messages', /is not a rate/],
  ['rate client 100/hour messages', /is not a rate/],
  ['rate client 100/8d messages', /7 days at most/],
  ['rate client 100/1h mesages', /did you mean "messages"\?/],
  ['rate user 5/1h connections', /write `rate client`/],
  ['rate client 5/1h connections except', /list/],
  ['rate tag Private client 5/1h messages', /no listener has the tag "Private"/],
  ['ban 10 auth-failures', /expected "after"/],
  ['ban after 10 login-failures in 1m for 1h', /expected what leads to a ban/],
  ['ban after 0 auth-failures in 1m for 1h', /at least 1/],
  ['ban after 10 auth-failures for 1h', /expected "in"/],
  ['ban after 10 auth-failures in 1m', /expected "for"/],
  ['ban on "eth1:25" after 10 auth-failures in 1m for 1h', /no listener on "eth1:25"/],
]

for (const [line, message] of faults) {
  test(`a line that cannot be carried out is named: ${line}`, async () => {
    await assert.rejects(
      load(line),
      (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
    )
  })
}
