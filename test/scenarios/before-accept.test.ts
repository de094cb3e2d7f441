import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { eicar, startClamd } from '../support/clamd.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { type ClientReply, SmtpClient } from '../support/smtp-client.ts'

/** In two parts, so that this file is not taken for spam. */
const gtube = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*', 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'].join('')

test(
  'spam and viruses are refused in the session by the filter; clean mail is filtered once, and delivered once',
  { skip: missingPeers('clamd') },
  async (t) => {
    const clamd = await startClamd()
    atEnd(t, () => clamd.stop())
    const system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline(
        `filter before-accept deadline 60s\nspam reject 15\nvirus clamd "${clamd.socket}" infected reject`,
      ),
      services: 'processes',
    })
    atEnd(t, () => system.stop())
    const refused = [
      await send(system, testMessage({ id: 'spam', body: gtube })),
      await send(system, testMessage({ id: 'virus', body: eicar })),
      await send(system, testMessage({ id: 'large-virus', body: `${bodyOf('large', 600_000)}\n${eicar}` })),
    ]
    for (const { raw } of refused) assert.match(raw, /^550 5\.7\.1 Message content rejected/)
    const clean = [
      await send(system, testMessage({ id: 'small' })),
      await send(system, testMessage({ id: 'large', body: bodyOf('large', 600_000) })),
    ]
    const mails = await system.maildir('jane').waitForMessages(2)
    assert.deepEqual(new Set(mails.map((mail) => mail.field('X-Test-Id'))), new Set(['large', 'small']))
    for (const mail of mails) {
      assert.equal(mail.field('X-Virus-Status'), 'Clean')
      assert.equal(mail.fields('X-Spam-Status').length, 1)
    }
    for (const reply of clean) {
      const id = idOf(reply)
      const filtered = system.log.filter((line) => line.event === 'filtered' && line.id === id)
      assert.equal(filtered.length, 1, 'nobody filters it again')
      const { stdout } = await system.ctl('show', 'message', id)
      assert.match(stdout, /filter asked before acceptance: pass, in /)
    }
    const rejected = system.log.filter(({ event }) => event === 'rejected')
    assert.equal(rejected.length, 3)
    const told = await system.ctl('show', 'message', rejected[0]?.id ?? '')
    assert.match(told.stdout, /filter asked before acceptance: reject, in /)
    assert.match(told.stdout, /rejected at data with 550 5\.7\.1 Message content rejected/)
    assert.deepEqual(
      system.log.filter(({ event }) => event === 'reported'),
      [],
      'no bounce',
    )
    await settled(system)
  },
)

test('what the filter keeps back is accepted and held, and delivered when it is released', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline('filter before-accept deadline 60s\nspam quarantine 15'),
  })
  atEnd(t, () => system.stop())
  const id = idOf(await send(system, testMessage({ id: 'kept', body: gtube })))
  await system.waitForEvent('held', id)
  const { stdout } = await system.ctl('show', 'held')
  assert.match(stdout, new RegExp(id))
  assert.equal((await system.ctl('release', id)).code, 0)
  await system.maildir('jane').waitForMessages(1)
  await settled(system)
  assert.equal((await system.maildir('jane').messages()).length, 1)
})

test('without a filter the message is accepted at the deadline, and delivered when there is one', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline('filter before-accept deadline 1s'),
    services: 'processes',
  })
  atEnd(t, () => system.stop())
  await system.kill('filter', 'SIGTERM')
  const id = idOf(await send(system, testMessage({ id: 'late' })))
  const { reason } = await system.waitForEvent('undecided', id)
  assert.equal(reason, 'nobody answered in time')
  assert.equal((await system.maildir('jane').messages()).length, 0)
  await system.restart('filter')
  await system.maildir('jane').waitForMessages(1)
  await settled(system)
  assert.equal((await system.maildir('jane').messages()).length, 1)
})

test('a filter that is killed while it is asked: the message is accepted at the deadline, and arrives once', async (t) => {
  const { system, dns } = await slowSystem(t, '3s')
  const reply = send(system, testMessage({ id: 'killer', from: 'a@slow.test' }), 'a@slow.test')
  await dns.waitForQuery('slow.test')
  await system.kill('filter')
  const id = idOf(await reply)
  await system.waitForEvent('undecided', id)
  dns.set({ 'slow.test': {} })
  await system.restart('filter')
  await system.maildir('jane').waitForMessages(1)
  await settled(system)
  assert.equal((await system.maildir('jane').messages()).length, 1)
})

test('an inbound that is killed between the verdict and its reply has accepted nothing: the client tries again, one copy arrives', async (t) => {
  const { system, dns } = await slowSystem(t, '60s')
  const content = testMessage({ id: 'again', from: 'a@slow.test' })
  const cutOff = send(system, content, 'a@slow.test').then(
    (reply) => reply.raw,
    () => 'no reply',
  )
  await dns.waitForQuery('slow.test')
  // The verdict comes while it cannot be read.
  const inbound = system.pids.at(-1)
  assert.ok(inbound !== undefined)
  process.kill(inbound, 'SIGSTOP')
  dns.set({ 'slow.test': {} })
  await system.waitForLog(({ event }) => event === 'filtered')
  await settled(system)
  await system.kill('inbound')
  assert.equal(await cutOff, 'no reply')
  await system.restart('inbound')
  assert.deepEqual(await system.maildir('jane').messages(), [])

  const id = idOf(await send(system, content, 'a@slow.test'))
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.match(mail?.header ?? '', new RegExp(`id ${id}`))
  await settled(system)
  assert.equal((await system.maildir('jane').messages()).length, 1)
})

test(
  'when Redis is away nobody waits for the filter, and the message is delivered when it is back',
  { skip: missingPeers('redis-server') },
  async (t) => {
    const redis = await startRedis()
    atEnd(t, () => redis.close())
    const system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline('filter before-accept deadline 60s'),
      redisUrl: redis.url,
    })
    atEnd(t, () => system.stop())
    await redis.kill()
    const id = idOf(await send(system, testMessage({ id: 'away' })))
    await system.waitForEvent('undecided', id)
    await redis.start()
    await system.maildir('jane').waitForMessages(1)
    idOf(await send(system, testMessage({ id: 'back' })))
    await system.maildir('jane').waitForMessages(2)
    await settled(system)
    assert.equal((await system.maildir('jane').messages()).length, 2)
  },
)

/** A system whose filter waits for DNS where mail is from slow.test. */
async function slowSystem(
  t: { after(clean: () => Promise<void>): void },
  deadline: string,
): Promise<{ readonly system: MailSystem; readonly dns: DnsServer }> {
  const dns = await startDns({ 'slow.test': 'TIMEOUT' })
  atEnd(t, () => dns.stop())
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`filter before-accept deadline ${deadline}\nresolver "${dns.address}"`),
    services: 'processes',
  })
  atEnd(t, () => system.stop())
  return { system, dns }
}

async function send(system: MailSystem, content: string, from = 'sender@remote.test'): Promise<ClientReply> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const reply = await client.send({ from, to: ['jane@sluice.test'], content })
  await client.quit()
  return reply
}

/** Nothing is queued any more, questions neither, and the books are right. */
async function settled(system: MailSystem): Promise<void> {
  for (;;) {
    const queues = JSON.stringify(await system.ctlJson('show', 'queue'))
    if (!/"id":/.test(queues)) return system.waitForBalance()
    await pause(500)
  }
}
