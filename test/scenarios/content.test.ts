import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { withoutReport } from '../../shared/mail/safe-report.ts'
import { atEnd } from '../support/at-end.ts'
import { tarOf, zipOf } from '../support/archives.ts'
import { eicar, startClamd } from '../support/clamd.ts'
import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import type { MailFile } from '../support/maildir.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRspamd } from '../support/rspamd.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { startSpamd } from '../support/spamd.ts'

async function send(system: MailSystem, content: string): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const reply = await client.send({ from: 'bob@remote.test', to: ['jane@sluice.test'], content })
  await client.quit()
  return idOf(reply)
}

function attached(id: string, octets: Buffer, name: string): string {
  return [
    'From: <bob@remote.test>',
    'To: <jane@sluice.test>',
    `Subject: ${id}`,
    `X-Test-Id: ${id}`,
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain',
    '',
    'see the attachment',
    '--b',
    `Content-Type: application/octet-stream; name="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    ...(octets.toString('base64').match(/.{1,76}/g) ?? []),
    '--b--',
    '',
  ].join('\r\n')
}

const virus = { name: 'eicar.com', octets: Buffer.from(eicar) }

interface Held {
  readonly held: readonly { readonly id: string; readonly quarantine?: string; readonly reason?: string }[]
}

function byName(one: string, other: string): number {
  return one.localeCompare(other)
}

test(
  'a real clamd finds the virus however it is packed; clean mail is delivered, and what is released too',
  { skip: missingPeers('clamd') },
  async (t) => {
    const clamd = await startClamd()
    atEnd(t, () => clamd.stop())
    const system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline(`virus clamd "127.0.0.1:${clamd.port}"`),
    })
    atEnd(t, () => system.stop())
    const infected = [
      await send(system, attached('plain', Buffer.from(eicar), 'eicar.com')),
      await send(system, attached('packed', gzipSync(eicar), 'eicar.gz')),
      await send(system, attached('zipped', zipOf([virus]), 'eicar.zip')),
      await send(system, attached('nested', zipOf([{ name: 'inner.zip', octets: zipOf([virus]) }]), 'outer.zip')),
      await send(system, testMessage({ id: 'in-text', body: eicar })),
    ]
    await send(system, testMessage({ id: 'clean', body: bodyOf('clean', 600_000) }))
    const [clean] = await system.maildir('jane').waitForMessages(1)
    assert.equal(clean?.field('X-Virus-Status'), 'Clean')
    for (const id of infected) await system.waitForEvent('held', id)
    const { held } = (await system.ctlJson('show', 'held')) as Held
    assert.deepEqual(held.map(({ id }) => id).toSorted(byName), infected.toSorted(byName))
    for (const { quarantine, reason } of held)
      assert.deepEqual([quarantine, reason], ['virus', 'virus: Eicar-Test-Body.UNOFFICIAL'])
    const [one = '', other = ''] = infected
    assert.equal((await system.ctl('release', one)).code, 0)
    const mails = await system.maildir('jane').waitForMessages(2)
    assert.ok(mails.some((mail) => mail.field('X-Test-Id') === 'plain'))
    assert.equal((await system.ctl('remove', other)).code, 0)
    assert.match((await system.ctl('show', 'message', other)).stdout, /held by filter: virus: Eicar-Test-Body/)
  },
)

test('mail waits for clamd and goes on when it is back', { skip: missingPeers('clamd') }, async (t) => {
  const clamd = await startClamd()
  atEnd(t, () => clamd.stop())
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`virus clamd "${clamd.socket}"`),
  })
  atEnd(t, () => system.stop())
  await clamd.halt()
  const id = await send(system, testMessage({ id: 'waits' }))
  await system.waitForEvent('delayed', id)
  await clamd.start()
  assert.equal((await system.ctl('schedule', id)).code, 0)
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('X-Virus-Status'), 'Clean')
})

test(
  'clamd stops and comes back under load: nothing goes unscanned, nothing is lost',
  { skip: missingPeers('clamd') },
  async (t) => {
    const clamd = await startClamd()
    atEnd(t, () => clamd.stop())
    const system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline(`virus clamd "127.0.0.1:${clamd.port}"`),
    })
    atEnd(t, () => system.stop())
    const sendBoth = async (number: number): Promise<string> => {
      await send(system, testMessage({ id: `clean-${number}`, body: bodyOf(`clean-${number}`, 100_000) }))
      return send(system, attached(`bad-${number}`, zipOf([virus]), 'eicar.zip'))
    }
    const first = await Promise.all(Array.from({ length: 10 }, (_one, number) => sendBoth(number)))
    await clamd.halt()
    const second = await Promise.all(Array.from({ length: 10 }, (_one, number) => sendBoth(10 + number)))
    for (const id of second) await system.waitForEvent('delayed', id)
    const maildir = system.maildir('jane')
    const early = (await maildir.messages()).map((mail) => mail.field('X-Test-Id'))
    assert.ok(
      early.every((id) => /^clean-\d$/.test(id ?? '')),
      'what came while nobody could look waits',
    )
    await clamd.start()
    const infected = [...first, ...second]
    const isDone = async (): Promise<boolean> => {
      const { held } = (await system.ctlJson('show', 'held')) as Held
      return infected.every((id) => held.some((one) => one.id === id)) && (await maildir.messages()).length >= 20
    }
    // One that is being tried just now is delayed again.
    for (let round = 0; round < 100 && !(await isDone()); round += 1) await system.ctl('schedule', 'all')
    const mails = await maildir.waitForMessages(20)
    assert.deepEqual(
      mails.map((mail) => mail.field('X-Test-Id') ?? '').toSorted(byName),
      Array.from({ length: 20 }, (_one, number) => `clean-${number}`).toSorted(byName),
    )
    for (const mail of mails) assert.equal(mail.field('X-Virus-Status'), 'Clean')
  },
)

test('with the attempts allowed used up mail waits for an operator, not for clamd', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline('queue "filter" attempts 2\nvirus clamd "/nonexistent/clamd.sock"'),
  })
  atEnd(t, () => system.stop())
  const id = await send(system, testMessage({ id: 'held' }))
  await system.waitForEvent('delayed', id)
  assert.equal((await system.ctl('schedule', id)).code, 0)
  const { reason } = await system.waitForEvent('held', id)
  assert.match(String(reason), /^filter failed at attempt 2: .*clamd/)
  const { held } = (await system.ctlJson('show', 'held')) as Held
  assert.deepEqual(
    held.map((message) => message.id),
    [id],
  )
})

test('mail longer than clamd takes is kept back, not passed unseen', { skip: missingPeers('clamd') }, async (t) => {
  const clamd = await startClamd({ streamMax: '300K' })
  atEnd(t, () => clamd.stop())
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`virus clamd "127.0.0.1:${clamd.port}"`),
  })
  atEnd(t, () => system.stop())
  const id = await send(system, testMessage({ id: 'long', body: bodyOf('long', 6_000_000) }))
  const event = await system.waitForEvent('held', id)
  assert.match(String(event['reason']), /longer than clamd takes/)
})

test('a program in an archive is kept back; our own users are told of what their policy bans', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf().replace('smtps pki', 'smtps tag Submission pki'),
    pipeline: standardPipeline(
      'banned files default macros quarantine\nbanned for tag Submission files { "*.exe" } found reject',
    ),
  })
  atEnd(t, () => system.stop())
  const program = Buffer.concat([Buffer.from('MZ'), Buffer.alloc(5_000)])
  const inner = zipOf([{ name: 'readme.txt', octets: program }])
  const document = zipOf([{ name: 'word/vbaProject.bin', octets: Buffer.from('x') }])
  const cases: readonly (readonly [string, string, Buffer, string])[] = [
    [
      'packed',
      'a.zip',
      zipOf([{ name: 'inner.zip', octets: inner }]),
      'type application/x-dosexec in inner.zip in a.zip',
    ],
    ['tar', 'a.tgz', gzipSync(tarOf([{ name: 'x.scr', octets: inner }])), 'x.scr in a.tar in a.tgz'],
    ['macros', 'a.docm', document, 'type application/vnd.ms-office.vbaproject in a.docm'],
  ]
  for (const [id, name, octets, reason] of cases) {
    const event = await system.waitForEvent('held', await send(system, attached(id, octets, name)))
    assert.equal(event['reason'], `banned: ${reason}`)
  }
  const login = { implicitTls: true, user: 'jane', password: passwords.jane }
  const client = await SmtpClient.ready({ port: system.port('smtps'), ...login })
  const content = attached('own', zipOf([{ name: 'x.exe', octets: inner }]), 'own.zip')
  const id = idOf(await client.send({ from: 'jane@sluice.test', to: ['jane@sluice.test'], content }))
  await client.quit()
  await system.waitForEvent('failed', id)
  const [report] = await system.maildir('jane').waitForMessages(1)
  assert.match(report?.text ?? '', /550 5\.7\.1 Message content rejected \(banned: x\.exe in own\.zip\)/)
})

test('a banned file is kept back, and gone when its time is over', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline('banned files default found reject\nquarantine keep 1s'),
  })
  atEnd(t, () => system.stop())
  const id = await send(system, attached('program', Buffer.from('hello'), 'setup.exe'))
  assert.equal((await system.waitForEvent('held', id))['quarantine'], 'banned')
  await send(system, attached('picture', Buffer.from('hello'), 'holiday.png'))
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('X-Test-Id'), 'picture')
  const gone = await system.waitForEvent('discarded', id)
  assert.equal(gone['reason'], 'quarantine: banned: setup.exe, kept for 1 s')
})

const gtube = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*', 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'].join('')

/** Sends ordinary mail and the spam test through the filter as pipeline.conf has it; what jane gets. */
async function judge(t: TestContext, pipeline: string): Promise<{ readonly ham: MailFile; readonly spam: MailFile }> {
  const system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline(pipeline) })
  atEnd(t, () => system.stop())
  await send(system, testMessage({ id: 'ham', body: 'see you at noon' }))
  const id = await send(system, testMessage({ id: 'spam', body: gtube }))
  const mails = await system.maildir('jane').waitForMessages(2)
  const [ham, spam] = ['ham', 'spam'].map((one) =>
    mails.find((mail) => /\w+$/.exec(mail.field('Subject') ?? '')?.[0] === one),
  )
  assert.ok(ham && spam)
  assert.match((await system.ctl('show', 'message', id)).stdout, /filtered: junk, .*gtube/i)
  return { ham, spam }
}

test('the spam test is junk, ordinary mail is not, without any other program', async (t) => {
  const { ham, spam } = await judge(t, 'spam junk 6.5 subject "***SPAM***"')
  assert.match(ham.field('X-Spam-Status') ?? '', /^No, score=/)
  assert.equal(ham.field('X-Spam-Flag'), undefined)
  assert.equal(ham.field('Subject'), 'ham')
  assert.match(spam.field('X-Spam-Status') ?? '', /^Yes, score=1\d\d\d\.?\d* required=6\.5 /)
  assert.equal(spam.field('X-Spam-Flag'), 'YES')
  assert.equal(spam.field('Subject'), '***SPAM*** spam')
})

test('with report-safe junk comes attached to a report, and learning takes the message out of it', async (t) => {
  const { ham, spam } = await judge(t, 'spam junk 6.5 subject "***SPAM***" report-safe on')
  assert.doesNotMatch(ham.text, /message\/rfc822/)
  assert.equal(spam.field('X-Spam-Flag'), 'YES')
  assert.equal(spam.field('Subject'), '***SPAM*** spam')
  assert.match(spam.field('From') ?? '', /remote\.test/)
  assert.ok(spam.fields('Received').length > 0, 'a loop is still seen')
  const attached = withoutReport(Buffer.from(spam.text, 'latin1')).toString('latin1')
  assert.match(attached, /^Received: [^]*\nSubject: spam\r?\n[^]*\n\r?\nXJS/)
  assert.ok(attached.includes(gtube) && !attached.includes('***SPAM***'))
})

test('spamscanner adds what it finds; what is too much for it is delivered without its word', async (t) => {
  const pipeline = standardPipeline('spam engine builtin engine spamscanner')
  const system = await MailSystem.start({ conf: standardConf(), pipeline })
  atEnd(t, () => system.stop())
  const from = 'From: <bob@remote.test>\r\n\r\n'
  for (const [content, finding] of [
    [attached('macros', Buffer.from('PK'), 'invoice.docm'), /SPAMSCANNER_FILE 1 macro: invoice\.docm/],
    [`${from}${'many words here\r\n'.repeat(80_000)}`, /SPAMSCANNER_UNABLE 0 longer than 1 MB/],
    [`${from}${'http://a.example/ b\r\n'.repeat(6_000)}`, /SPAMSCANNER_UNABLE 0 more text than it is fit for/],
  ] as const)
    assert.match(JSON.stringify(await system.waitForEvent('filtered', await send(system, content))), finding)
  await system.maildir('jane').waitForMessages(3)
})

test('a real SpamAssassin judges in its place', { skip: missingPeers('spamd') }, async (t) => {
  const spamd = await startSpamd()
  atEnd(t, () => spamd.stop())
  const { ham, spam } = await judge(t, `spam engine spamassassin "127.0.0.1:${spamd.port}" on-failure defer`)
  assert.match(ham.field('X-Spam-Status') ?? '', /^No, score=-?\d/)
  assert.doesNotMatch(ham.text, /SPAMASSASSIN_/)
  assert.match(spam.field('X-Spam-Report') ?? '', /\* 1000\.0 GTUBE BODY: Generic Test/)
})

test('a real Rspamd judges in its place', { skip: missingPeers('rspamd') }, async (t) => {
  const rspamd = await startRspamd()
  atEnd(t, () => rspamd.stop())
  const { ham, spam } = await judge(t, `spam engine rspamd "${rspamd.url}" on-failure defer`)
  assert.equal(ham.field('X-Spam-Flag'), undefined)
  assert.doesNotMatch(ham.text, /RSPAMD_/)
  assert.match(spam.field('X-Spam-Report') ?? '', /^Rspamd: reject \(Gtube pattern\), /)
})
