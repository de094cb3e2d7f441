import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { dkimRecords } from '../support/configurations.ts'
import { arcVerdict } from '../support/dkim-verify.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = (sink: number): string => `table names { friend = ann@far.test }
table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "scan" relay host "queue://filter"
action "seal" relay host "queue://sign"
action "in" maildir "{{data}}/mail/%{user.username}" userbase <people> alias <names>
action "out" relay host "smtp://127.0.0.1:${sink}"
match tag Signed from any for any action "out"
match tag Filtered from any for domain sluice.test action "in"
match from any for domain sluice.test action "scan"
match tag Filtered from local for any action "seal"
`

const pipeline = (resolver: string): string => `resolver "${resolver}"
queue "filter" tag Filtered
queue "sign" tag Signed
arc seal domain "sluice.test" selector "test" key "{{fixtures}}/dkim/rsa.key"
auth-results trust-arc "sluice.test"
spam engine builtin classifier off
`

describe('ARC', () => {
  let dns: DnsServer
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    dns = await startDns({
      'author.test': { TXT: ['v=spf1 ip4:127.0.0.1 -all'] },
      '_dmarc.author.test': { TXT: ['v=DMARC1; p=reject'] },
      'other.test': { TXT: ['v=spf1 -all'] },
      ...Object.fromEntries(Object.entries(dkimRecords()).map(([name, text]) => [name, { TXT: [text] }])),
    })
    sink = await startMailSink()
    system = await MailSystem.start({ conf: conf(sink.port), pipeline: pipeline(dns.address) })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await dns.stop()
  })

  async function send(message: { readonly from: string; readonly to: string; readonly content: string }) {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    await client.send({ from: message.from, to: [message.to], content: message.content })
    await client.quit()
  }

  async function forwarded(): Promise<Buffer> {
    const [from, to] = ['jane@author.test', 'friend@sluice.test']
    await send({ from, to, content: testMessage({ id: 'sealed', from, to }) })
    return (await sink.waitForMessage((one) => one.id === 'sealed')).content
  }

  test(
    'forwarded mail is sealed with what we saw, as dkimpy finds, too',
    { skip: missingPeers('dkimverify') },
    async () => {
      const content = await forwarded()
      assert.match(
        content.toString(),
        /ARC-Authentication-Results: i=1; mx\.sluice\.test;\s+spf=pass smtp\.mailfrom=jane@author\.test;/,
      )
      assert.equal(await arcVerdict(content, dkimRecords()), 'pass')
      const changed = Buffer.from(content.toString('latin1').replace('hello', 'hullo'), 'latin1')
      assert.equal(await arcVerdict(changed, dkimRecords()), 'fail')
    },
  )

  test('what a trusted sealer has seen counts where DMARC fails behind it', async () => {
    const sealed = (await forwarded()).toString('latin1').replace(/^X-Test-Id: .*/m, 'X-Test-Id: back')
    await send({ from: 'list@other.test', to: 'jane@sluice.test', content: sealed })
    const [mail] = await system.maildir('jane').waitForMessages(1)
    const [results] = mail?.fields('Authentication-Results') ?? []
    assert.match(
      results ?? '',
      /dmarc=fail \(sluice\.test saw it pass\) header\.from=author\.test\s+policy\.dmarc=none/,
    )
    assert.match(results ?? '', /arc=pass \(i=1, sealed by sluice\.test\)/)
    assert.equal(mail?.field('X-Spam-Flag'), undefined)
  })
})
