import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import type { LogLine } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

test('two processes share the SMTP ports, and one that is killed is replaced', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(),
    env: { SLUICE_INBOUND_PROCESSES: '2' },
  })
  atEnd(t, () => system.stop())
  const parent = system.pids[0]

  // The kernel hands a connection to whichever process is free: connections that stay open reach both of them.
  const clients = await Promise.all(Array.from({ length: 24 }, () => SmtpClient.ready({ port: system.port('smtp') })))
  await Promise.all(clients.map((client, index) => send(client, `before-${index}`)))
  await system.maildir('jane').waitForMessages(24)
  const takers = pidsThatReceived(system.log)
  assert.ok(takers.length >= 1 && takers.every((pid) => pid !== parent), 'the parent itself takes no connection')
  await Promise.all(clients.map((client) => client.quit()))

  const [victim] = takers
  assert.ok(victim !== undefined)
  process.kill(victim, 'SIGKILL')
  const ready = await system.waitForLog(
    (line) =>
      line.msg === 'ready' &&
      isInbound(line) &&
      !takers.includes(pidOf(line)) &&
      system.log.indexOf(line) > died(system.log),
  )
  assert.notEqual(pidOf(ready), victim)
  await send(await SmtpClient.ready({ port: system.port('smtp') }), 'after')
  await system.maildir('jane').waitForMessages(25)
  await system.waitForBalance()
})

async function send(client: SmtpClient, id: string): Promise<void> {
  const from = 'sender@remote.test'
  const to = 'jane@sluice.test'
  const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
  assert.equal(reply.code, 250)
}

function pidsThatReceived(log: readonly LogLine[]): readonly number[] {
  return [...new Set(log.filter((line) => line.event === 'received').map((line) => pidOf(line)))]
}

function isInbound(line: LogLine): boolean {
  return String(line['process']).startsWith('inbound:')
}

function pidOf(line: LogLine): number {
  return Number(String(line['process']).split(':')[1])
}

function died(log: readonly LogLine[]): number {
  const index = log.findIndex((line) => String(line.msg).startsWith('worker process ended'))
  return index < 0 ? Number.POSITIVE_INFINITY : index
}
