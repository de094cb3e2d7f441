import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startDns } from '../support/dns.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem, type ServiceName } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { runSmtpSource } from '../support/smtp-source.ts'
import { sendStorm } from '../support/storm.ts'

/** 10,000 in the full run; fewer where every push waits for it. */
const stormSize = Number(process.env['SLUICE_STORM'] ?? 2000)

test('a filter killed in the middle of messages: the other takes over, one copy of each arrives', async (t) => {
  // Look-ups that the filters wait for make "in the middle" certain; more messages than one filter takes at a time make
  // sure that both have some.
  const senders = Array.from({ length: 8 }, (_, number) => `slow${number}.test`)
  const dns = await startDns(Object.fromEntries(senders.map((name) => [name, 'TIMEOUT'])))
  atEnd(t, () => dns.stop())
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`resolver "${dns.address}"`),
    services: 'processes',
    processes: { filter: 2 },
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  for (const name of senders) {
    const content = testMessage({ id: name, from: `a@${name}` })
    idOf(await client.send({ from: `a@${name}`, to: ['jane@sluice.test'], content }))
  }
  await client.quit()
  await Promise.all(senders.map((name) => dns.waitForQuery(name)))
  await system.kill('filter', 'SIGKILL', 0)
  dns.set(Object.fromEntries(senders.map((name) => [name, {}])))
  // Picked up within 15 s on a machine at rest (decided by the lock, 8 s, and two looks at 2.5 s); a busy one takes longer.
  await system.maildir('jane').waitForMessages(senders.length)
  await system.waitForEmptyQueues()
  await system.waitForBalance()
  const ids = (await system.maildir('jane').messages()).map((mail) => mail.field('X-Test-Id') ?? '')
  assert.deepEqual(ids.toSorted(), senders)
})

test(
  'a storm through two filters of which one is killed again and again: all arrive once, unaltered',
  {
    skip: missingPeers('smtp-source'),
  },
  async (t) => {
    const { system, sink } = await stormSystem(t)
    const killing = killAgainAndAgain(system, 'filter', sink, stormSize)
    // Fast clients cannot be told "later" forever, so the source sends in portions that inbound takes at full speed.
    await runSmtpSource({ port: system.port('smtp'), messages: stormSize, sessions: 10, reuse: true })
    await sink.waitForDistinct(stormSize, 300_000)
    await killing.finished()
    await system.waitForEmptyQueues()
    await system.waitForBalance()
    assert.equal(sink.copies.size, stormSize)
    assert.deepEqual(repeated(sink), [])
    assert.equal(new Set(sink.messages.map((message) => message.bodySha256)).size, 1, 'all bodies are the same')
  },
)

for (const service of ['inbound', 'delivery'] as const) {
  test(`a storm while ${service} is killed again and again: every message arrives, unaltered`, async (t) => {
    const { system, sink } = await stormSystem(t)
    const killing = killAgainAndAgain(system, service, sink, stormSize)
    const { sent, uncertain } = await sendStorm({ port: system.port('smtp'), messages: stormSize })
    await sink.waitForDistinct(stormSize, 300_000)
    await killing.finished()
    await system.waitForEmptyQueues()
    await system.waitForBalance()
    for (const message of sink.messages) assert.equal(message.bodySha256, sent.get(message.id), message.id)
    assert.equal(sink.copies.size, sent.size)
    // Twice is allowed only where a 250 got lost with the killed process: the client's, or the one of the LMTP server.
    const excused = service === 'inbound' ? uncertain.size : killing.kills * 100
    assert.ok(repeated(sink).length <= excused, `${repeated(sink).length} came twice, ${excused} may`)
    if (service === 'inbound')
      assert.deepEqual(
        repeated(sink).filter((id) => !uncertain.has(id)),
        [],
      )
  })
}

test('a storm while the relay is killed again and again: every message leaves', async (t) => {
  const sink = await startMailSink({ keep: 'digest' })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: `listen on 127.0.0.1 port {{smtp}}
smtp limit max-mails 100000
action "out" relay host "smtp+notls://127.0.0.1:${sink.port}"
match from any for any action "out"
`,
    services: 'processes',
    processes: { filter: 0, signer: 0, delivery: 0, relay: 2 },
  })
  atEnd(t, () => system.stop())
  const messages = Math.ceil(stormSize / 2)
  const killing = killAgainAndAgain(system, 'relay', sink, messages)
  const { sent } = await sendStorm({ port: system.port('smtp'), messages, to: 'x@elsewhere.test' })
  await sink.waitForDistinct(messages, 300_000)
  await killing.finished()
  await system.waitForBalance()
  for (const message of sink.messages) assert.equal(message.bodySha256, sent.get(message.id), message.id)
})

test('SIGTERM under load loses nothing: what was answered 250 arrives after the next start', async (t) => {
  const { system, sink } = await stormSystem(t)
  const messages = Math.ceil(stormSize / 4)
  const storm = sendStorm({ port: system.port('smtp'), messages })
  for (const service of ['inbound', 'filter', 'delivery'] as const) {
    await system.waitForLog(() => sink.messages.length > 0)
    await system.kill(service, 'SIGTERM')
    await system.restart(service)
  }
  const { sent } = await storm
  await sink.waitForDistinct(messages, 120_000)
  await system.waitForBalance()
  for (const message of sink.messages) assert.equal(message.bodySha256, sent.get(message.id), message.id)
  assert.deepEqual(repeated(sink), [], 'an orderly end repeats nothing')
})

interface Cleaning {
  after(clean: () => Promise<void>): void
}

async function stormSystem(t: Cleaning): Promise<{ readonly system: MailSystem; readonly sink: MailSink }> {
  const sink = await startMailSink({ protocol: 'lmtp', keep: 'digest' })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: standardConf({
      deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>`,
      more: 'smtp limit max-mails 100000',
    }),
    pipeline: standardPipeline(),
    services: 'processes',
    processes: { filter: 2, signer: 0, relay: 0 },
  })
  atEnd(t, () => system.stop())
  return { system, sink }
}

/** Kills the service, and starts it again, each time an eighth of the storm has arrived: seven times, on any machine. */
function killAgainAndAgain(system: MailSystem, service: ServiceName, sink: MailSink, messages: number) {
  const kills = 7
  const work = (async () => {
    for (let kill = 1; kill <= kills; kill++) {
      await sink.waitForDistinct(Math.floor((messages * kill) / (kills + 1)), 300_000)
      await system.kill(service)
      await system.restart(service)
    }
  })()
  // The test waits for it at its end; until then a failure must not end the process.
  work.catch(() => undefined)
  return { kills, finished: () => work }
}

function repeated(sink: MailSink): readonly string[] {
  return [...sink.copies].filter(([, copies]) => copies > 1).map(([id]) => id)
}
