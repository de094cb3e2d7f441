import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Table } from '../../shared/config/model.ts'
import type { SmtpClient } from '../../test/support/smtp-client.ts'
import { testPipeline } from './testing.ts'
import type { TestInboundOptions } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

function from(...networks: readonly string[]): TestInboundOptions['configuration'] & object {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const etrn: Table = { name: 'permitted', source: { kind: 'inline', list: networks }, at }
  return { pipeline: { ...testPipeline, extensions: { smtpUtf8: true, etrn } } }
}

async function client(t: TestContext, options: TestInboundOptions): Promise<SmtpClient> {
  return connected(t, await start(t, options))
}

test('a permitted client starts the queue run of one destination', async (t) => {
  const asked: unknown[] = []
  const flush = async (destination: unknown): Promise<number> => asked.push(destination) + 1
  const permitted = await client(t, { configuration: from('127.0.0.0/8'), flush })
  assert.match((await permitted.command('EHLO x')).raw, /^250[ -]ETRN$/m)
  await dialogue(permitted, [
    ['ETRN Far.test', '250 2.0.0 Queuing for far.test started, messages: 2'],
    ['ETRN @far.test', '250 2.0.0 '],
    ['ETRN', '501 5.5.4'],
    ['ETRN #queue', '501 5.5.4'],
    ['ETRN a b', '501 5.5.4'],
    ['MAIL FROM:<a@example.net>', '250'],
    ['ETRN far.test', '503 5.5.1'],
  ])
  assert.deepEqual(asked, [
    { domain: 'far.test', subdomains: false },
    { domain: 'far.test', subdomains: true },
  ])
})

test('others may not, and where nobody may it is no command', async (t) => {
  const flush = (): Promise<number> => assert.fail('nobody may')
  await dialogue(await client(t, { configuration: from('192.0.2.0/24'), flush }), [['ETRN far.test', '459 4.7.1']])
  const without = await client(t, { flush })
  assert.doesNotMatch((await without.command('EHLO x')).raw, /ETRN/)
  await dialogue(without, [['ETRN far.test', '502 5.5.1']])
})

test('when the queues are away the client may come again', async (t) => {
  const flush = (): Promise<number> => Promise.reject(new Error('Redis is away'))
  await dialogue(await client(t, { configuration: from('127.0.0.1'), flush }), [
    ['ETRN far.test', '458 4.3.0'],
    ['ETRN far.test', '458 4.3.0'],
  ])
})

test('one queue run at a time', async (t) => {
  const signals = new EventTarget()
  const begun = once(signals, 'begun')
  let finish: (count: number) => void = () => undefined
  const flush = (): Promise<number> => {
    signals.dispatchEvent(new Event('begun'))
    return new Promise((resolve) => (finish = resolve))
  }
  const inbound = await start(t, { configuration: from('127.0.0.1'), flush })
  const [first, second] = [await connected(t, inbound), await connected(t, inbound)]
  first.write('ETRN far.test\r\n')
  await begun
  await dialogue(second, [['ETRN far.test', '458 4.3.2']])
  finish(1)
  assert.match((await first.reply()).raw, /^250 2\.0\.0 Queuing/)
})
