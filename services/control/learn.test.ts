import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { exampleMail } from '../../shared/classifier/testing.ts'
import { mailsAt } from './mail-files.ts'
import { runTrimmed } from './testing.ts'
import type { Printed } from './testing.ts'

/** The test text of all spam filters, in two parts so that this file is none. */
const gtube = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*', 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'].join('')

interface Bench {
  readonly folder: string
  ctl(...args: readonly string[]): Promise<Printed>
}

function bench(t: TestContext): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'learn-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(
    join(folder, 'smtpd.conf'),
    'listen on 127.0.0.1 port 2525\naction "a" lmtp "/run/lmtp"\nmatch for any action "a"\n',
  )
  writeFileSync(join(folder, 'pipeline.conf'), 'spam subject "[SPAM]"\n')
  return {
    folder,
    ctl: (...args) =>
      runTrimmed([...args, '-d', folder], {
        SMTPD_HOSTNAME: 'mx.example.org',
        SMTPD_CONF: join(folder, 'smtpd.conf'),
        PIPELINE_CONF: join(folder, 'pipeline.conf'),
      }),
  }
}

function mbox(kind: 'ham' | 'spam', count: number): string {
  return Array.from(
    { length: count },
    (_one, number) => `From x Sat Nov 21 10:00:00 2026\n${exampleMail(number, kind).toString()}\n>From here on\n\n`,
  ).join('')
}

test('a mailbox of ham and one of spam make a model of this site; forgetting one of them ends it', async (t) => {
  const { folder, ctl } = bench(t)
  writeFileSync(join(folder, 'ham.mbox'), mbox('ham', 120))
  const junk = join(folder, 'Maildir', '.Junk')
  for (const name of ['cur', 'new', 'tmp']) mkdirSync(join(junk, name), { recursive: true })
  for (let number = 0; number < 120; number += 1)
    writeFileSync(join(junk, number % 2 === 0 ? 'cur' : 'new', `${number}.x:2,S`), exampleMail(number, 'spam'))
  writeFileSync(join(junk, 'dovecot.index'), 'no mail')
  writeFileSync(join(junk, 'tmp', 'half'), 'no mail')

  const ham = await ctl('learn', 'ham', join(folder, 'ham.mbox'))
  assert.deepEqual([ham.code, ham.errors], [0, ''])
  assert.match(ham.out, /^120 learned as ham, 0 known already\nthe starter stays in force: 120 ham and 0 spam/)
  const spam = await ctl('learn', 'spam', junk)
  assert.match(spam.out, /^120 learned as spam, 0 known already\nnew model site-[0-9a-f]{8} of 120 ham and 120 spam/)
  assert.match((await ctl('learn', 'spam', junk)).out, /^0 learned as spam, 120 known already$/)
  assert.match((await ctl('learn', 'status')).out, /^learned: 120 ham, 120 spam\nmodel: site-/)
  assert.match((await ctl('learn', 'forget', junk)).out, /^120 forgotten, 0 were not known\nthe starter stays in force/)
  assert.equal(JSON.parse((await ctl('learn', 'status', '--json')).out).spam, 0)
})

test('marks of the filter itself are not learned, and nothing is learned of mail that failed authentication', async (t) => {
  const { folder, ctl } = bench(t)
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const mail = exampleMail(1, 'ham').toString()
  await ctl('learn', 'ham', file('plain', mail))
  const marked = mail.replace('Subject: ', 'Subject: [SPAM] ')
  assert.match((await ctl('learn', 'ham', file('marked', marked))).out, /^0 learned as ham, 1 known already/)

  const other = exampleMail(2, 'ham').toString()
  const results = (server: string): string =>
    `Authentication-Results: ${server};\r\n dmarc=fail header.from=ham.example\r\n`
  const forged = await ctl('learn', 'ham', file('forged', results('mx.example.org') + other))
  assert.match(forged.out, /^0 learned/)
  assert.match(forged.errors, /1 not learned: they failed authentication/)
  assert.match((await ctl('learn', 'spam', join(folder, 'forged'))).out, /^0 learned as spam/)
  assert.match(
    (await ctl('learn', 'ham', file('foreign', results('mx.elsewhere.example') + exampleMail(3, 'ham').toString())))
      .out,
    /^1 learned/,
  )
})

test('scan tells what the model thinks of each message, and why', async (t) => {
  const { folder, ctl } = bench(t)
  for (const kind of ['ham', 'spam'] as const) {
    writeFileSync(join(folder, kind), mbox(kind, 120))
    await ctl('learn', kind, join(folder, kind))
  }
  const { out } = await ctl('scan', join(folder, 'spam'))
  assert.match(out, /\njunk +120  100.0 %\n120 messages, judged with site-[0-9a-f]{8}\nnot asked: DNS$/)
  assert.match((await ctl('scan', join(folder, 'ham'))).out, /\nclean +120  100.0 %\n120 messages, judged with site-/)
  writeFileSync(join(folder, 'one'), exampleMail(500, 'spam'))
  const [line = ''] = (await ctl('scan', join(folder, 'one'), '--why', '--json')).out.split('\n')
  const { verdict, symbols, reasons } = JSON.parse(line) as {
    verdict: string
    symbols: readonly { name: string }[]
    reasons: readonly { feature: string; logOdds: number }[]
  }
  assert.equal(verdict, 'junk')
  assert.deepEqual(
    symbols.map(({ name }) => name),
    ['CLASSIFIER'],
  )
  assert.ok(
    reasons.some(({ feature, logOdds }) => /casino|prize|lottery|bonus|pills|urgent/.test(feature) && logOdds > 0),
  )
})

test('scan --compare shows only what another configuration judges otherwise, and how many that are', async (t) => {
  const { folder, ctl } = bench(t)
  const mail = (subject: string, body: string): string =>
    `From x Sat Nov 21 10:00:00 2026\nFrom: jane@example.org\nSubject: ${subject}\n\n${body}\n\n`
  writeFileSync(join(folder, 'mbox'), mail('Minutes', 'Hello') + mail('Try\u001b[2J', gtube) + mail('Again', gtube))
  writeFileSync(
    join(folder, 'other.conf'),
    'spam junk 5 discard 900\nspam for tag Lists discard never\nspam engine rspamd "http://h:1" engine builtin\nvirus clamd "h:1"\n',
  )
  const compare = ['scan', join(folder, 'mbox'), '--compare', join(folder, 'other.conf')]
  const { code, out, errors } = await ctl(...compare)
  assert.deepEqual([code, errors], [0, ''])
  assert.match(
    out,
    new RegExp(
      [
        '^ *\\d+\\.\\d junk +-> *\\d+\\.\\d discard     Try\\\\u\\{1b\\}\\[2J',
        '.*discard     Again',
        '',
        'verdict  now          then *',
        'clean      1  33.3 %     1  33.3 %',
        'junk       2  66.7 %     0   0.0 %',
        'discard    0   0.0 %     2  66.7 %',
        '2 of 3 messages would be judged otherwise',
        '  junk -> discard: 2',
        '3 messages, judged with starter-[0-9a-f]{8}',
        'not asked: DNS, clamd, rspamd$',
      ].join('\n'),
    ),
  )
  const lines = (await ctl(...compare, '--json')).out.split('\n').map((line) => JSON.parse(line) as object)
  assert.equal(lines.length, 3)
  assert.deepEqual(lines[2], {
    messages: 3,
    before: { clean: 1, junk: 2 },
    after: { clean: 1, discard: 2 },
    changes: { 'junk -> discard': 2 },
  })
  assert.match((await ctl(...compare, '--tag', 'Lists')).out, /^\n[^]*0 of 3 messages would be judged otherwise/)
})

test('scan heeds what a configuration says of tags and recipients: who looks, who is trusted, who is blocked', async (t) => {
  const { folder, ctl } = bench(t)
  writeFileSync(join(folder, 'hello'), 'Subject: hello\r\n\r\nhello\r\n')
  writeFileSync(join(folder, 'spam'), `Subject: test\r\n\r\n${gtube}\r\n`)
  writeFileSync(
    join(folder, 'other.conf'),
    'engines for tag Internal none\nspam clean tag Lists bypass\nspam blocked tag Bad\nspam blocked rcpt-to { "trap@example.org" }\n',
  )
  const changes = async (file: string, ...about: readonly string[]): Promise<unknown> => {
    const { out } = await ctl('scan', join(folder, file), '--compare', join(folder, 'other.conf'), '--json', ...about)
    return (JSON.parse(out.split('\n').at(-1) ?? '') as { readonly changes: unknown }).changes
  }
  assert.deepEqual(await changes('spam'), {})
  assert.deepEqual(await changes('spam', '--tag', 'Internal'), { 'junk -> clean': 1 })
  assert.deepEqual(await changes('spam', '--tag', 'Lists'), { 'junk -> clean': 1 })
  assert.deepEqual(await changes('hello'), {})
  assert.deepEqual(await changes('hello', '--tag', 'Bad'), { 'clean -> junk': 1 })
  assert.deepEqual(await changes('hello', '--rcpt', 'trap@example.org'), { 'clean -> junk': 1 })
})

test('a file that is not there is told, with its name', async (t) => {
  const { ctl } = bench(t)
  const { code, errors } = await ctl('learn', 'spam', '/nonexistent/mail')
  assert.equal(code, 1)
  assert.match(errors, /cannot read \/nonexistent\/mail: .*ENOENT/)
})

test('an mbox is taken apart the same however its octets come; a single message stays whole', async () => {
  const text = 'From a\nSubject: 1\n\nhi\nFrom here\n\n>From x\n\nFrom b\nSubject: 2\n\nhello\n\n'
  const wanted = ['Subject: 1\n\nhi\nFrom here\n\nFrom x\n', 'Subject: 2\n\nhello\n\n']
  for (const size of [1, 2, 5, 7, 1_000]) {
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    assert.deepEqual(await all(Readable.from(pieces.map((piece) => Buffer.from(piece)))), wanted, `${size}`)
  }
  const single = 'Subject: 1\n\nFrom the start\n\nFrom b\n'
  assert.deepEqual(await all(Readable.from([Buffer.from(single)])), [single])
})

async function all(stream: Readable): Promise<readonly string[]> {
  const mails: string[] = []
  for await (const mail of mailsAt('-', stream)) mails.push(mail.toString())
  return mails
}
