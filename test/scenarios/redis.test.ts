import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, bodySha256, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { sendStorm } from '../support/storm.ts'

const skip = missingPeers('redis-server')

test('while Redis is away mail is accepted, and delivered when it is back', { skip }, async (t) => {
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  const system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline(), redisUrl: redis.url })
  atEnd(t, () => system.stop())
  await redis.kill()
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  for (let number = 0; number < 20; number++) {
    const content = testMessage({ id: `away-${number}` })
    idOf(await client.send({ from: 'sender@remote.test', to: ['jane@sluice.test'], content }))
  }
  await client.quit()
  assert.equal((await system.maildir('jane').messages()).length, 0)
  await redis.start()
  const mails = await system.maildir('jane').waitForMessages(20, 90_000)
  assert.equal(new Set(mails.map((mail) => mail.field('X-Test-Id'))).size, 20)
  assert.equal(mails.length, 20)
  await system.waitForBalance()
})

test('Redis that is not there at the start keeps no mail out', { skip }, async (t) => {
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  await redis.kill()
  const system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline(), redisUrl: redis.url })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const content = testMessage({ id: 'early' })
  idOf(await client.send({ from: 'sender@remote.test', to: ['jane@sluice.test'], content }))
  await client.quit()
  await redis.start()
  await system.maildir('jane').waitForMessages(1, 90_000)
  await system.waitForBalance()
})

test('Redis wiped with mail in every queue loses none of it', { skip }, async (t) => {
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  let open = false
  const sink = await startMailSink({
    protocol: 'lmtp',
    respond: (event) => (event.stage === 'mail' && !open ? '451 4.3.0 Not yet' : undefined),
  })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>` }),
    pipeline: standardPipeline(),
    redisUrl: redis.url,
  })
  atEnd(t, () => system.stop())

  // Some are deferred in `deliver`, some wait in a paused `filter`.
  const deferred = await sendStorm({ port: system.port('smtp'), messages: 30, bytes: 500 })
  await system.waitForLog(() => countEvents(system, 'delayed') >= 30)
  assert.equal((await system.ctl('pause', 'filter')).code, 0)
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const waiting = new Map<string, string>()
  for (let number = 0; number < 30; number++) {
    const id = `waiting-${number}`
    const body = bodyOf(id, 500)
    waiting.set(id, bodySha256(body))
    idOf(await client.send({ from: 'a@remote.test', to: ['jane@sluice.test'], content: testMessage({ id, body }) }))
  }
  await client.quit()

  assert.equal(await redis.command('FLUSHALL'), '+OK')
  open = true
  await system.ctl('resume', 'filter')
  const rebuilt = await system.ctl('rebuild')
  assert.equal(rebuilt.code, 0, rebuilt.stderr)
  await system.ctl('schedule', 'all')
  await sink.waitForDistinct(60, 120_000)
  const expected = new Map([...deferred.sent, ...waiting])
  assert.deepEqual([...sink.copies.keys()].toSorted(), [...expected.keys()].toSorted())
  for (const message of sink.messages) assert.equal(message.bodySha256, expected.get(message.id), message.id)
  assert.equal(sink.messages.length, 60)
  await system.waitForBalance()
})

test('a wiped Redis is noticed without being told', { skip }, async (t) => {
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  const system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline(), redisUrl: redis.url })
  atEnd(t, () => system.stop())
  assert.equal((await system.ctl('pause', 'filter')).code, 0)
  const { sent } = await sendStorm({ port: system.port('smtp'), messages: 10, bytes: 500 })
  assert.equal(await redis.command('FLUSHALL'), '+OK')
  const mails = await system.maildir('jane').waitForMessages(sent.size, 120_000)
  assert.equal(new Set(mails.map((mail) => mail.field('X-Test-Id'))).size, sent.size)
  await system.waitForBalance()
})

function countEvents(system: MailSystem, event: string): number {
  return system.log.filter((line) => line.event === event).length
}
