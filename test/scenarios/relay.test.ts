import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import type { Mailbox } from '../../shared/mail/address.ts'
import { encodeSrs } from '../../shared/routing/srs.ts'
import { type MailSink, type SinkEvent, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = (port: number): string => `srs key "topsecret"
mta limit max-conn-per-domain 1
table names { friend = ann@far.test, gone = never@far.test }
table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "in" maildir "{{data}}/mail/%{user.username}" userbase <people> alias <names>
action "out" relay host "smtp://127.0.0.1:${port}" srs
match from any for domain sluice.test action "in"
match from local for any action "out"
`

function moods(event: SinkEvent): string | undefined {
  return event.stage === 'rcpt' && event.argument.startsWith('never') ? '550 5.1.1 No such user here' : undefined
}

describe('relaying', () => {
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    sink = await startMailSink({ respond: moods })
    system = await MailSystem.start({ conf: conf(sink.port) })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
  })

  async function send(id: string, from: string, to: string) {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return reply
  }

  test('forwarded mail has a sender of ours, and a bounce to it reaches the author', async () => {
    await send('forwarded', 'alice@author.test', 'friend@sluice.test')
    const forwarded = await sink.waitForMessage((one) => one.id === 'forwarded')
    assert.match(forwarded.from, /^SRS0=.{4}=[A-Z2-7]{2}=author\.test=alice@sluice\.test$/)
    await send('bounce', '', forwarded.from)
    const bounce = await sink.waitForMessage((one) => one.id === 'bounce')
    assert.equal(bounce.from, '')
    assert.deepEqual(bounce.recipients, ['alice@author.test'])
    assert.equal((await send('forged', '', forwarded.from.replace('=alice@', '=bob@'))).code, 550)
    const srs = { key: 'topsecret', ttlDays: 4 }
    const old = (days: number): string =>
      encodeSrs('alice@author.test' as Mailbox, 'sluice.test', srs, Date.now() - days * 86_400_000)
    assert.equal((await send('late', '', old(2))).code, 250)
    assert.deepEqual((await sink.waitForMessage((one) => one.id === 'late')).recipients, ['alice@author.test'])
    assert.equal((await send('expired', '', old(20))).code, 550)
  })

  test('what we report ourselves about forwarded mail goes to the author', async () => {
    const id = idOf(await send('refused', 'alice@author.test', 'gone@sluice.test'))
    await system.waitForEvent('failed', id)
    const report = await sink.waitForMessage((one) => /^Action: failed/m.test(one.content.toString()))
    assert.deepEqual([report.from, ...report.recipients], ['', 'alice@author.test'])
  })

  test('max-conn-per-domain: all mail arrives, over one connection', async () => {
    const before = sink.copies.size
    const ids = Array.from({ length: 20 }, (_, count) => `many${count}`)
    await Promise.all(ids.map((id) => send(id, 'alice@author.test', 'ann@far.test')))
    await sink.waitForDistinct(before + ids.length, 60_000)
    assert.ok(ids.every((id) => sink.copies.get(id) === 1))
    assert.equal(sink.connections, 1)
  })
})
