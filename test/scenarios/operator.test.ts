import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import type { MessageId } from '../../shared/mail/message-id.ts'
import type { QueueView } from '../../shared/report/views.ts'
import { openSpool } from '../../shared/spool/file-spool.ts'
import { atEnd } from '../support/at-end.ts'
import { startDns } from '../support/dns.ts'
import { freePort } from '../support/free-port.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { startSmtpSink } from '../support/smtp-sink.ts'

const conf = (backup: number): string => `table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "in" maildir "{{data}}/mail/%{user.username}" userbase <people>
action "out" relay
action "backup" relay host "smtp://127.0.0.1:${backup}"
match from any for domain sluice.test action "in"
match from local for any action "out"
`

type Clean = Parameters<typeof atEnd>[0]

/** Far mail hosts that nobody answers at, and a Redis that the test can empty. */
async function start(t: Clean, backup: number) {
  const zones = ['dead.test', 'other.test'].map((name) => [name, { MX: [[10, `mx.${name}`]] }] as const)
  const hosts = ['mx.dead.test', 'mx.other.test'].map((name) => [name, { A: ['127.0.0.1'] }] as const)
  const dns = await startDns(Object.fromEntries([...zones, ...hosts]))
  atEnd(t, () => dns.stop())
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  const pipeline = `resolver "${dns.address}"\nrelay port ${await freePort()}\n`
  const system = await MailSystem.start({ conf: conf(backup), pipeline, redisUrl: redis.url })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  atEnd(t, () => client.quit())
  const send = async (id: string, to: readonly string[], from = 'jane@sluice.test'): Promise<string> =>
    idOf(await client.send({ from, to, content: testMessage({ id, from }) }))
  const ctl = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await system.ctl(...words)
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
    return stdout
  }
  return { system, redis, send, ctl }
}

async function delayedIn(system: MailSystem, queue: string): Promise<number> {
  const { queues } = (await system.ctlJson('show', 'queue')) as { readonly queues: readonly QueueView[] }
  return queues.find(({ name }) => name === queue)?.delayed ?? 0
}

const skip = missingPeers('redis-server', 'smtp-sink')

test(
  'mail to a dead MX goes by way of a smarthost, each once, also when Redis is emptied before',
  { skip },
  async (t) => {
    const sink = await startSmtpSink()
    atEnd(t, () => sink.stop())
    const { system, redis, send, ctl } = await start(t, sink.port)
    const ids = new Set<string>()
    for (let number = 0; number < 50; number += 1) ids.add(await send(`dead${number}`, [`user${number}@dead.test`]))
    const other = await send('other', ['joe@other.test'])
    const named = (event: string) => system.log.filter((line) => line.event === event).map((line) => line.id ?? '')
    // One attempt tells that the host is down; the others wait for its time.
    while ((await delayedIn(system, 'relay')) < 51);

    // Nothing goes out before Redis is empty.
    await ctl('pause', 'relay')
    const way = ['reroute', '--destination', 'dead.test', '--to', `smtp://127.0.0.1:${sink.port}`] as const
    assert.equal(await ctl(...way, '--dry-run'), '50 jobs of 50 messages; nothing is changed\n')
    assert.equal(await ctl(...way), '50 jobs rerouted\n')
    assert.equal(sink.count, 0)
    assert.equal(await redis.command('FLUSHALL'), '+OK')
    await ctl('rebuild')
    await sink.waitForCount(50)
    await system.waitForLog(() => new Set(named('relayed')).size === 50)
    assert.deepEqual(new Set(named('relayed')), ids)
    assert.equal(named('relayed').length, 50)
    assert.equal(sink.count, 50)
    assert.match(await ctl('show', 'message', other), /joe@other\.test\s+delayed/)
    assert.match(
      await ctl('show', 'message', [...ids][0] ?? ''),
      /sent by way of smtp:\/\/127\.0\.0\.1:\d+, for user0@/,
    )
  },
)

test('a copy that is readdressed arrives in the mailbox of the other, and only there', { skip }, async (t) => {
  const sink = await startMailSink()
  atEnd(t, () => sink.stop())
  const { system, send, ctl } = await start(t, sink.port)
  const id = await send('letter', ['jnae@dead.test', 'joe@other.test'], 'bob@far.test')
  await system.waitForLog(() => system.log.filter((one) => one.event === 'delayed' && one.id === id).length === 2)
  const refused = await system.ctl('readdress', id, 'jnae@dead.test', 'nobody@sluice.test')
  assert.match(refused.stderr, /the rules refuse nobody@sluice\.test: 550/)
  await ctl('readdress', id, 'jnae@dead.test', 'jane@sluice.test')
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('X-Test-Id'), 'letter')
  assert.equal(mail?.field('X-Original-To'), 'jnae@dead.test')

  await ctl('reroute', id, '--action', 'backup')
  const relayed = await sink.waitForMessage((one) => one.id === 'letter')
  assert.deepEqual(relayed.recipients, ['joe@other.test'])
  await system.waitForEvent('relayed', id)
  assert.equal((await system.maildir('jane').messages()).length, 1)

  assert.match((await system.ctl('replay', id)).stderr, /has arrived already/)
  assert.match(
    await ctl('replay', id, '--again', '--recipient', 'jane@sluice.test'),
    /^jane@sluice\.test: goes as message/,
  )
  const copies = await system.maildir('jane').waitForMessages(2)
  assert.deepEqual(
    copies.map((copy) => copy.body),
    [mail?.body, mail?.body],
  )
  assert.equal(sink.messages.length, 1)
})

test('what a killed command left in the log is carried out by the ledger', { skip }, async (t) => {
  const sink = await startSmtpSink()
  atEnd(t, () => sink.stop())
  const { system, send } = await start(t, sink.port)
  const ids: string[] = []
  for (let number = 0; number < 5; number += 1) ids.push(await send(`left${number}`, [`user${number}@dead.test`]))
  while ((await delayedIn(system, 'relay')) < 5);
  const spool = await openSpool({ path: join(system.dataFolder, 'spool'), writer: 'ctl', reserveBytes: 0 })
  atEnd(t, () => spool.close())
  const order = { kind: 'host', url: `smtp://127.0.0.1:${sink.port}` } as const
  const decision = { recipient: 0, kind: 'rerouted', stage: 'relay', at: Date.now(), order } as const
  await spool.settle(ids.map((id) => ({ ...decision, id: id as MessageId })))
  await sink.waitForCount(5)
  for (const id of ids) await system.waitForEvent('relayed', id)
  assert.equal(sink.count, 5)
})

test('a report about a copy that was readdressed names the address the sender wrote', { skip }, async (t) => {
  const sink = await startMailSink({
    respond: ({ stage, argument }) =>
      stage === 'rcpt' && argument.startsWith('never') ? '550 5.1.1 No such user' : undefined,
  })
  atEnd(t, () => sink.stop())
  const { system, send, ctl } = await start(t, sink.port)
  const id = await send('typo', ['nevre@dead.test'])
  await system.waitForEvent('delayed', id)
  await ctl('reroute', id, '--action', 'backup', '--recipient', 'nevre@dead.test')
  await sink.waitForMessage((one) => one.id === 'typo')
  const again = await send('again', ['nevre@dead.test'])
  await system.waitForEvent('delayed', again)
  await ctl('readdress', again, 'nevre@dead.test', 'never@other.test')
  await ctl('reroute', again, '--action', 'backup')
  const [report] = await system.maildir('jane').waitForMessages(1)
  assert.match(report?.text ?? '', /^Original-Recipient: rfc822; ?nevre@dead\.test$/m)
  assert.match(report?.text ?? '', /^Final-Recipient: rfc822; ?never@other\.test$/m)
  assert.match(report?.text ?? '', /^Status: 5\.1\.1$/m)
})
