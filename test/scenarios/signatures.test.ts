import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { dkimRecords, passwords, standardConf } from '../support/configurations.ts'
import { opendkimResults, verifyDkim } from '../support/dkim-verify.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const read = (name: string): string => readFileSync(fixture(name), 'utf8')

/** Of both keys. */
const records = {
  ...dkimRecords(),
  'ed._domainkey.sluice.test': `v=DKIM1; k=ed25519; p=${read('dkim/ed25519.pub').trim()}`,
}

const pipeline = (resolver: string): string => `resolver "${resolver}"
queue "filter" tag Filtered
queue "sign" tag Signed
dkim domain "sluice.test" selector "test" key "{{folder}}/keys/rsa.key" expire 21d
dkim domain "sluice.test" selector "ed" key "{{folder}}/keys/ed25519.key" header relaxed body relaxed
`

const head = 'From: Jane <jane@sluice.test>\r\nTo: ann@elsewhere.test\r\n'

const contents: Readonly<Record<string, string>> = {
  'no body': `${head}Subject: x\r\n\r\n`,
  'nothing but empty lines': `${head}Subject: x\r\n\r\n\r\n\r\n\r\n`,
  'empty lines and blanks at the end': `${head}\r\nhello \t \r\n\r\n \r\n\r\n`,
  'lines that begin with dots': `${head}\r\n.\r\n..\r\n.dot\r\n`,
  'folded fields, tabs and colons': `${head}Subject:\r\n  a\r\n\t  long : one\r\nReferences: <1@x>\r\n <2@x>\r\n\r\nhello\r\n`,
  'octets beyond ASCII': `${head}Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße \t aus der Ferne\r\n`,
  'fields that are there twice': `${head}List-Id: <a>\r\nList-Id: <b>\r\nComments: x\r\nComments: y\r\n\r\nhello\r\n`,
  '3 MB': `${head}Subject: x\r\n\r\n${bodyOf('large', 3_000_000).replaceAll('\n', '\r\n')}\r\n`,
}

describe('signed mail', { skip: missingPeers('opendkim', 'dkimverify') }, () => {
  let dns: DnsServer
  let sink: MailSink
  let system: MailSystem
  let sent = 0

  before(async () => {
    dns = await startDns(Object.fromEntries(Object.entries(records).map(([name, text]) => [name, { TXT: [text] }])))
    sink = await startMailSink()
    system = await MailSystem.start({
      conf: standardConf({ remote: `relay host "smtp://127.0.0.1:${sink.port}"` }),
      pipeline: pipeline(dns.address),
      files: { 'keys/rsa.key': read('dkim/rsa.key'), 'keys/ed25519.key': read('dkim/ed25519.key') },
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await dns.stop()
  })

  /** As it arrives. */
  async function signed(content: string): Promise<Buffer> {
    sent += 1
    const id = `signed-${sent}`
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'jane',
      password: passwords.jane,
    })
    const given = `X-Test-Id: ${id}\r\n${content}`
    idOf(await client.send({ from: 'jane@sluice.test', to: ['ann@elsewhere.test'], content: given }))
    await client.quit()
    return (await sink.waitForMessage((one) => one.id === id)).content
  }

  for (const [what, content] of Object.entries(contents))
    test(`${what}: OpenDKIM and dkimpy accept both signatures, RSA and Ed25519`, async () => {
      const mail = await signed(content)
      assert.deepEqual((await opendkimResults(mail, records)).toSorted(), [
        'pass ed25519-sha256 ed',
        'pass rsa-sha256 test',
      ])
      const verdict = await verifyDkim(mail, records)
      assert.ok(verdict.valid, verdict.detail)
    })

  test('what is changed or added on the way is noticed by OpenDKIM, in the body, in a field, and by a second field', async () => {
    const mail = (
      await signed(testMessage({ id: '', from: 'jane@sluice.test' }).replace(/^X-Test-Id: \r\n/m, ''))
    ).toString('latin1')
    for (const changed of [
      mail.replace('hello', 'hullo'),
      mail.replace(/^Subject: .*/m, 'Subject: pay now'),
      `Subject: pay now\r\n${mail}`,
      `From: boss@sluice.test\r\n${mail}`,
      `Content-Type: text/html\r\n${mail}`,
      `Reply-To: thief@elsewhere.test\r\n${mail}`,
    ]) {
      const results = await opendkimResults(Buffer.from(changed, 'latin1'), records)
      assert.ok(
        results.every((result) => !result.startsWith('pass')),
        `${results.join(', ')} for ${changed.slice(0, 60)}`,
      )
    }
  })

  test('the signature is good for 21 days', async () => {
    const text = (await signed(`${head}\r\nhello\r\n`)).toString('latin1').replaceAll(/\r\n[ \t]+/g, '')
    const [, made, expires] = /s=test; ?t=(\d+); ?x=(\d+);/.exec(text) ?? []
    assert.equal(Number(expires) - Number(made), 21 * 86_400)
  })

  test('a key that replaces another signs once its record is there, as OpenDKIM finds with that record', async () => {
    const rotated = await system.ctl('dkim', 'rotate', 'sluice.test', 'test', '--new', 'next', '--json')
    assert.equal(rotated.code, 0, rotated.stderr)
    const { name, value } = JSON.parse(rotated.stdout) as { readonly name: string; readonly value: string }
    assert.equal(name, 'next._domainkey.sluice.test')
    dns.set({ [name]: { TXT: [value] } })
    const endsAt = Date.now() + 120_000
    let mail = await signed(`${head}\r\nhello\r\n`)
    while (!mail.includes('s=next;') && Date.now() < endsAt) mail = await signed(`${head}\r\nhello\r\n`)
    assert.deepEqual((await opendkimResults(mail, { ...records, [name]: value })).toSorted(), [
      'pass ed25519-sha256 ed',
      'pass rsa-sha256 next',
    ])
    const status = await system.ctl('dkim', 'status', 'sluice.test')
    assert.match(status.stdout, /test +old +yes, needed until \d{4}-\d\d-\d\d for what it signed/)
    assert.match(status.stdout, /next +signs +yes/)
  })
})
