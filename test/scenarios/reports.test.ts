import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { readBounces } from '../support/bounce-rules.ts'
import { startDns } from '../support/dns.ts'
import type { DnsServer } from '../support/dns.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { readReport } from '../support/read-report.ts'
import type { ReadReport } from '../support/read-report.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const extensions = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE 1000000', 'SMTPUTF8']

describe('delivery reports', { skip: missingPeers('python3') }, () => {
  /** Senders live here; their reports come in. */
  let home: MailSink
  /** Takes part in DSN. */
  let able: MailSink
  /** Does not. */
  let unable: MailSink
  let mailboxes: MailSink
  let dns: DnsServer
  let system: MailSystem

  before(async () => {
    home = await startMailSink({ extensions })
    able = await startMailSink({ extensions: [...extensions, 'DSN'] })
    unable = await startMailSink({
      name: 'mx.unable.test',
      extensions: extensions.filter((word) => word !== 'SMTPUTF8'),
      respond: ({ stage, argument }) => {
        if (stage !== 'rcpt') return undefined
        if (argument.startsWith('nobody'))
          return '550 5.1.1 <nobody@unable.test>: Recipient address rejected: User unknown'
        return argument.startsWith('later') ? '450 4.7.1 Greylisted, come back later' : undefined
      },
    })
    mailboxes = await startMailSink({
      protocol: 'lmtp',
      respond: ({ stage, argument }) =>
        stage === 'content' && argument.startsWith('full') ? '552 5.2.2 Mailbox is full' : undefined,
    })
    dns = await startDns({ 'far.test': { MX: [[0, '.']] } })
    system = await MailSystem.start({
      conf: `bounce warn-interval 1s
table aliases { "team" = "jane@mailbox.test, ann@able.test" }
table people { "jane" = "1000:1000:/home/jane", "full" = "1001:1001:/home/full" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "home" relay host "smtp://127.0.0.1:${home.port}"
action "able" relay host "smtp://127.0.0.1:${able.port}"
action "unable" relay host "smtp://127.0.0.1:${unable.port}"
action "short" relay host "smtp://127.0.0.1:${unable.port}" ttl 1s
action "mailbox" lmtp "127.0.0.1:${mailboxes.port}" rcpt-to userbase <people>
action "list" expand-only alias <aliases>
action "file" maildir "{{data}}/mail/%{user.username}" userbase <people>
action "mx" relay
match from local for domain "home.test" action "home"
match from local for domain "able.test" action "able"
match from local for domain "unable.test" action "unable"
match from local for domain "short.test" action "short"
match from local for domain "mailbox.test" action "mailbox"
match from local for domain "file.test" action "file"
match from local for domain "list.test" action "list"
match from local for any action "mx"
`,
      pipeline: `resolver "${dns.address}"\n`,
    })
  })

  after(async () => {
    await system.stop()
    await Promise.all([home.stop(), able.stop(), unable.stop(), mailboxes.stop(), dns.stop()])
  })

  interface Sending {
    /** Before the `@`; reports go there. */
    readonly from: string
    readonly to: string
    readonly mail?: string
    readonly rcpt?: string
    readonly header?: string
  }

  async function send({ from, to, mail = '', rcpt = '', header = '' }: Sending): Promise<string> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    for (const line of [`MAIL FROM:<${from}@home.test>${mail}`, `RCPT TO:<${to}>${rcpt}`])
      assert.equal((await client.command(line)).code, 250, line)
    assert.equal((await client.command('DATA')).code, 354)
    const content = testMessage({ id: from, from: `${from}@home.test`, to, body: 'the words of the message' })
    const reply = await client.command(`${header}${content}\r\n.`)
    await client.quit()
    return idOf(reply)
  }

  async function reportTo(from: string, action: string): Promise<ReadReport> {
    const message = await home.waitForMessage(
      (one) =>
        one.from === '' &&
        one.recipients.includes(`${from}@home.test`) &&
        new RegExp(`^Action: ${action}`, 'm').test(one.content.toString()),
    )
    return readReport(message.content)
  }

  /** As a program reads it. */
  async function bounceTo(from: string, action = 'failed') {
    const report = await reportTo(from, action)
    const [bounce, ...others] = readBounces(report)
    assert.ok(bounce !== undefined && others.length === 0)
    return { bounce, report }
  }

  test('what a server refused says who refused it, and why', async () => {
    await send({
      from: 'refused',
      to: 'nobody@unable.test',
      mail: ' RET=FULL ENVID=Letter+2B7',
      rcpt: ' NOTIFY=FAILURE ORCPT=rfc822;No+2Bbody@unable.test',
    })
    const { bounce, report } = await bounceTo('refused')
    assert.deepEqual(bounce, {
      recipient: 'nobody@unable.test',
      action: 'failed',
      status: '5.1.1',
      replyCode: 550,
      remote: '[127.0.0.1]',
      reason: 'userunknown',
    })
    assert.equal(report.perMessage['original-envelope-id'], 'Letter+7')
    assert.equal(report.perRecipient[0]?.['original-recipient'], 'rfc822; No+body@unable.test')
    assert.match(report.text, /There is no such mailbox there[^]*The other server said: 550 5\.1\.1/)
    assert.equal(report.original.type, 'message/rfc822', 'RET=FULL')
    assert.match(report.original.body, /the words of the message/)
  })

  test('RET=HDRS returns the header section alone', async () => {
    await send({ from: 'headers', to: 'nobody@unable.test', mail: ' RET=HDRS' })
    const { report } = await bounceTo('headers')
    assert.equal(report.original.type, 'text/rfc822-headers')
    assert.equal(report.original.header['subject'], 'headers')
    assert.doesNotMatch(report.original.body, /the words of the message/)
  })

  test('a domain that is not there, and one that takes no mail, are told without a server', async () => {
    await send({ from: 'gone', to: 'ann@nowhere.test' })
    const gone = (await bounceTo('gone')).bounce
    assert.deepEqual([gone.action, gone.reason, gone.remote], ['failed', 'hostunknown', undefined])
    await send({ from: 'null-mx', to: 'ann@far.test' })
    assert.equal((await bounceTo('null-mx')).bounce.status, '5.1.10')
  })

  test('who waits is warned, and told when we give up, with the last reply', async () => {
    const id = await send({ from: 'expired', to: 'later@short.test' })
    const { bounce: warning, report } = await bounceTo('expired', 'delayed')
    assert.deepEqual([warning.status, warning.replyCode, warning.remote], ['4.7.1', 450, '[127.0.0.1]'])
    assert.ok(report.perRecipient[0]?.['will-retry-until'] !== undefined)
    // Refused while the attempt before is under way.
    while (!system.log.some((line) => line.event === 'expired' && line.id === id)) await system.ctl('schedule', id)
    const { bounce } = await bounceTo('expired')
    assert.deepEqual([bounce.status, bounce.reason], ['5.4.7', 'expired'])
  })

  test('what an operator returns is told as what took too long', async () => {
    const id = await send({ from: 'returned', to: 'later@unable.test', rcpt: ' NOTIFY=FAILURE' })
    await system.waitForEvent('delayed', id)
    assert.equal((await system.ctl('expire', id)).code, 0)
    assert.deepEqual([(await bounceTo('returned')).bounce.status], ['5.4.7'])
    assert.ok(!home.messages.some((one) => one.recipients.includes('returned@home.test') && /delayed/.test(one.header)))
  })

  test('a full mailbox and a loop are named', async () => {
    await send({ from: 'full', to: 'full@mailbox.test' })
    const full = (await bounceTo('full')).bounce
    assert.deepEqual([full.status, full.reason], ['5.2.2', 'mailboxfull'])
    await send({ from: 'loop', to: 'jane@file.test', header: 'Delivered-To: jane@file.test\r\n' })
    const loop = (await bounceTo('loop')).bounce
    assert.deepEqual([loop.status, loop.reason, loop.remote], ['5.4.6', 'networkerror', undefined])
  })

  test('NOTIFY=SUCCESS is answered where the mailbox is, and where the next server knows no reports', async () => {
    await send({ from: 'success', to: 'jane@mailbox.test', rcpt: ' NOTIFY=SUCCESS' })
    const { bounce } = await bounceTo('success', 'delivered')
    assert.deepEqual([bounce.status, bounce.reason], ['2.0.0', 'delivered'])
    await send({ from: 'handed-on', to: 'ann@unable.test', rcpt: ' NOTIFY=SUCCESS,FAILURE' })
    const { bounce: relayed, report } = await bounceTo('handed-on', 'relayed')
    assert.deepEqual([relayed.status[0], relayed.remote], ['2', '[127.0.0.1]'])
    assert.match(report.text, /gives no delivery reports/)
  })

  test('an alias for several is expanded, and its members are not told of', async () => {
    await send({ from: 'expanded', to: 'team@list.test', rcpt: ' NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Team@list.test' })
    const { bounce, report } = await bounceTo('expanded', 'expanded')
    assert.deepEqual([bounce.recipient, bounce.status], ['team@list.test', '2.0.0'])
    assert.equal(report.perRecipient[0]?.['original-recipient'], 'rfc822; Team@list.test')
    assert.doesNotMatch(report.text, /jane|ann@/)
    const copy = await able.waitForMessage((one) => one.id === 'expanded')
    assert.deepEqual(copy.rcptParameters, ['NOTIFY=FAILURE ORCPT=rfc822;Team@list.test'])
    await mailboxes.waitForMessage((one) => one.id === 'expanded')
  })

  test('a server that knows reports is given what was asked, and reports itself', async () => {
    const id = await send({
      from: 'passed-on',
      to: 'ann@able.test',
      mail: ' RET=HDRS ENVID=Q+2B1',
      rcpt: ' NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ann+2Bx@old.test',
    })
    await system.waitForEvent('relayed', id)
    const message = able.messages.find((one) => one.id === 'passed-on')
    assert.match(message?.mailParameters ?? '', / ?RET=HDRS ENVID=Q\+2B1$/)
    assert.deepEqual(message?.rcptParameters, ['NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ann+2Bx@old.test'])
    assert.ok(!system.log.some((line) => line.event === 'reported' && line['about'] === id))
  })

  test('who wants to hear nothing hears nothing', async () => {
    const id = await send({ from: 'never', to: 'nobody@unable.test', rcpt: ' NOTIFY=NEVER' })
    await system.waitForEvent('failed', id)
    const delayed = await send({ from: 'only-failure', to: 'later@unable.test', rcpt: ' NOTIFY=FAILURE' })
    await system.waitForEvent('delayed', delayed)
    // The reports to these came behind: theirs would have been there by now.
    await send({ from: 'behind', to: 'nobody@unable.test' })
    await bounceTo('behind')
    for (const about of [id, delayed])
      assert.ok(!system.log.some((line) => line.event === 'reported' && line['about'] === about))
  })

  test('a refusal is told with what it is about: in the event, in the story, and on the page Destinations', async () => {
    const id = await send({ from: 'greylisted', to: 'later2@unable.test', rcpt: ' NOTIFY=NEVER' })
    assert.equal((await system.waitForEvent('delayed', id))['class'], 'greylisted')
    assert.match((await system.ctl('show', 'message', id)).stdout, /Greylisted, come back later \(greylisted\)/)
    // Those before it wait there, too: with the same words.
    const page = await (await fetch(`http://127.0.0.1:${system.port('http')}/destinations`)).text()
    assert.match(page, /<strong>greylisted<\/strong> [^]*>450 4\.7\.1 Greylisted, come back later</)
  })

  test('a sender beyond ASCII gets a report in UTF-8 (RFC 6533)', async () => {
    await send({ from: 'jörg', to: 'ann@unable.test', mail: ' SMTPUTF8' })
    const { bounce, report } = await bounceTo('jörg')
    assert.deepEqual([bounce.status, bounce.reason], ['5.6.7', 'contenterror'])
    assert.equal(report.reportType, 'global-delivery-status')
    assert.deepEqual(report.parts.slice(0, 2), ['text/plain', 'message/global-delivery-status'])
  })
})

test('one address gets so many reports about mail of strangers, and no more; metrics tell it, and what replies were about', async (t) => {
  const mailboxes = await startMailSink({
    protocol: 'lmtp',
    respond: ({ stage }) => (stage === 'content' ? '452 4.2.2 Mailbox is full' : undefined),
  })
  atEnd(t, () => mailboxes.stop())
  const home = await startMailSink()
  atEnd(t, () => home.stop())
  const system = await MailSystem.start({
    conf: `table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} proxy-v2
action "home" relay host "smtp://127.0.0.1:${home.port}"
action "mailbox" lmtp "127.0.0.1:${mailboxes.port}" rcpt-to userbase <people>
match from any for domain "mailbox.test" action "mailbox"
match from local for any action "home"
`,
    pipeline: `trusted proxy 127.0.0.1
bounces limit address 2/1h
mailbox full permanent
metrics listen "127.0.0.1:{{metrics}}"
`,
  })
  atEnd(t, () => system.stop())
  const ids: string[] = []
  for (const count of [1, 2, 3]) {
    const client = await SmtpClient.connect({ port: system.port('smtp') })
    client.write('PROXY TCP4 192.0.2.7 192.0.2.25 4711 25\r\n')
    assert.equal((await client.reply()).code, 220)
    assert.equal((await client.command('EHLO stranger.test')).code, 250)
    const content = testMessage({ id: `forged-${count}`, from: 'victim@home.test' })
    const id = idOf(await client.send({ from: 'victim@home.test', to: ['jane@mailbox.test'], content }))
    ids.push(id)
    await client.quit()
    await system.waitForEvent('failed', id)
  }
  const [first, second, third] = ids
  await system.waitForLog((line) => line.event === 'reported' && line['about'] === first)
  await system.waitForLog((line) => line.event === 'reported' && line['about'] === second)
  const dropped = await system.waitForEvent('report dropped', third)
  assert.deepEqual([dropped['to'], dropped['limit']], ['victim@home.test', 'bounces limit address 2/3600s'])
  assert.match(
    (await system.ctl('show', 'message', third ?? '')).stdout,
    /report \(failed\) to victim@home\.test not sent/,
  )
  await home.waitForMessages(2)

  const metrics = await (await fetch(`http://127.0.0.1:${system.port('metrics')}/metrics`)).text()
  for (const line of [
    /^sluice_events_total\{event="report dropped"[^}]*\} 1$/m,
    /^sluice_refusals_total\{stage="deliver",code="5xx",class="mailbox-full"[^}]*\} 3$/m,
    /^sluice_remote_replies_total\{stage="deliver",class="5xx"[^}]*\} 3$/m,
  ])
    assert.match(metrics, line)
})
