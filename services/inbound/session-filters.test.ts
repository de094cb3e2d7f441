import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { BuiltinFilter, Filter, FilterCondition, FilterDecision, Table } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import { silentLog } from '../../shared/log.ts'
import { formatReply } from '../../shared/mail/reply.ts'
import { SmtpClient, plain } from '../../test/support/smtp-client.ts'
import { SessionFilters } from './session-filters.ts'
import { credentials, startInbound } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const at = { file: 'smtpd.conf', line: 1, column: 1 } as const
const content = 'From: a@example.net\r\nSubject: x\r\n\r\nHello\r\n'
const no = { kind: 'reject', text: '550 5.7.1 no' } as const
const submission = { tls: 'offered', auth: { kind: 'optional', table: credentials } } as const

function filter(
  phase: BuiltinFilter['phase'],
  condition: Partial<FilterCondition> & Pick<FilterCondition, 'kind'>,
  decision: FilterDecision,
  name = 'f',
): Filter {
  return { kind: 'builtin', name, phase, condition: { not: false, regex: false, ...condition }, decision, at }
}

function list(...entries: readonly string[]): Table {
  return { name: '<inline>', source: { kind: 'inline', list: entries }, at }
}

async function start(
  t: TestContext,
  filters: readonly Filter[],
  options: TestInboundOptions = {},
): Promise<TestInbound> {
  const inbound = await startInbound({ ...options, listener: { filters, ...options.listener } })
  t.after(() => inbound.close())
  return inbound
}

/** Each line is sent, its reply must begin as written beside it; a line `=` ends the connection. */
async function dialogue(
  t: TestContext,
  inbound: TestInbound,
  lines: readonly (readonly [line: string, reply: string])[],
): Promise<void> {
  const client = await SmtpClient.connect({ port: inbound.port, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  for (const [line, expected] of lines) {
    if (expected === '=') {
      await client.waitForClose()
      continue
    }
    const { raw } = line === '' ? await client.reply() : await client.command(line)
    assert.ok(raw.startsWith(expected), `${line}\n  expected ${expected}\n  got      ${raw}`)
  }
}

const hello = ['', '220 '] as const
const ehlo = ['EHLO client.test', '250'] as const
const mail = ['MAIL FROM:<a@example.net>', '250 2.1.0'] as const
const rcpt = ['RCPT TO:<jane@example.org>', '250 2.1.5'] as const
const data = ['DATA', '354 '] as const
const dot = [`${content}.`, '250 2.0.0'] as const

test('each phase refuses what its condition names, and lets the rest pass', async (t) => {
  const cases: readonly (readonly [filter: Filter, ...lines: (readonly [string, string])[]])[] = [
    [filter('connect', { kind: 'src', table: list('127.0.0.0/8') }, no), ['', '550 5.7.1 no'], ['', '=']],
    [filter('connect', { kind: 'src', table: list('127.0.0.0/8'), not: true }, no), hello, ehlo],
    [
      filter('helo', { kind: 'helo', table: list('*.bad.test') }, no),
      hello,
      ['HELO x.bad.test', '550'],
      ['EHLO x.bad.test', '250'],
    ],
    [
      filter('ehlo', { kind: 'helo', table: list('^x'), regex: true }, no),
      hello,
      ['EHLO x1', '550'],
      ['MAIL FROM:<a@example.net>', '503'],
      ehlo,
      mail,
    ],
    [
      filter('mail-from', { kind: 'mail-from', table: list('@bad.test') }, no),
      hello,
      ehlo,
      ['MAIL FROM:<x@bad.test> SIZE=10', '550'],
      ['RCPT TO:<jane@example.org>', '503'],
      mail,
    ],
    [filter('mail-from', { kind: 'auth', not: true }, no), hello, ehlo, ['MAIL FROM:<a@example.net>', '550']],
    [
      filter('rcpt-to', { kind: 'rcpt-to', table: list('^jane'), regex: true }, no),
      hello,
      ehlo,
      mail,
      ['RCPT TO:<jane@example.org>', '550'],
      ['RCPT TO:<john@example.org>', '250'],
    ],
    [
      filter('rcpt-to', { kind: 'mail-from', table: list('a@example.net') }, no),
      hello,
      ehlo,
      mail,
      ['RCPT TO:<jane@example.org>', '550'],
    ],
    [
      filter('data', { kind: 'mail-from', table: list('a@example.net') }, no),
      hello,
      ehlo,
      mail,
      rcpt,
      ['DATA', '550 5.7.1 no'],
      ['NOOP', '250'],
    ],
    [
      filter('commit', { kind: 'helo', table: list('client.test') }, { kind: 'reject', text: '451 4.7.1 later' }),
      hello,
      ehlo,
      mail,
      rcpt,
      data,
      [`${content}.`, '451 4.7.1 later'],
      ['NOOP', '250'],
      mail,
    ],
  ]
  for (const [one, ...lines] of cases) {
    const inbound = await start(t, [one])
    await dialogue(t, inbound, lines)
    assert.deepEqual(inbound.accepted, [])
  }
})

test('a message refused at commit leaves nothing behind', async (t) => {
  const inbound = await start(t, [filter('commit', { kind: 'auth', not: true }, no)])
  await dialogue(t, inbound, [hello, ehlo, mail, rcpt, data, [`${content}.`, '550 5.7.1 no']])
  assert.equal(inbound.aborted(), 1)
  assert.ok(inbound.events.includes('rejected'))
})

test('disconnect closes behind its reply, at each phase, and so does a 421', async (t) => {
  const always = { kind: 'src', table: list('127.0.0.1') } as const
  const end = ['', '='] as const
  const gone = { kind: 'disconnect', text: '550 5.7.1 gone' } as const
  await dialogue(t, await start(t, [filter('ehlo', always, gone)]), [hello, ['EHLO x', '550 5.7.1 gone'], end])
  await dialogue(t, await start(t, [filter('rcpt-to', always, { kind: 'reject', text: '421 busy' })]), [
    hello,
    ehlo,
    mail,
    ['RCPT TO:<jane@example.org>', '421 4.7.1 busy'],
    end,
  ])
  await dialogue(t, await start(t, [filter('commit', always, gone)]), [
    hello,
    ehlo,
    mail,
    rcpt,
    data,
    [`${content}.`, '550 5.7.1 gone'],
    end,
  ])
})

test('the names of a client count as DNS tells them', async () => {
  const verified = { name: 'dyn.example.net', forward: 'pass' } as const
  const unverified = { name: 'dyn.example.net', forward: 'fail' } as const
  const nameless = { forward: 'fail' } as const
  const domain = list('*.example.net')
  const cases = [
    [verified, { kind: 'fcrdns', not: true }, 'proceed'],
    [unverified, { kind: 'fcrdns', not: true }, '550 5.7.1 no'],
    [nameless, { kind: 'fcrdns', not: true }, '550 5.7.1 no'],
    [
      { forward: 'error' },
      { kind: 'fcrdns', not: true },
      '451 4.4.3 Your host name cannot be looked up now, try later',
    ],
    [{ forward: 'error' }, { kind: 'rdns', not: true }, '451 4.4.3 Your host name cannot be looked up now, try later'],
    [unverified, { kind: 'rdns', not: true }, 'proceed'],
    [nameless, { kind: 'rdns', not: true }, '550 5.7.1 no'],
    [unverified, { kind: 'rdns', table: domain }, '550 5.7.1 no'],
    [unverified, { kind: 'rdns', table: list('^dyn[.]'), regex: true }, '550 5.7.1 no'],
    [unverified, { kind: 'rdns', table: domain, not: true }, 'proceed'],
    [nameless, { kind: 'rdns', table: domain }, 'proceed'],
  ] as const
  for (const [client, condition, expected] of cases) {
    const filters = new SessionFilters(
      {
        chain: [filter('connect', condition, no)],
        tables: openTables(),
        processes: new Map(),
        report: () => undefined,
        log: silentLog(),
      },
      {
        id: 's',
        address: '192.0.2.9',
        helo: '',
        user: undefined,
        clientName: () => Promise.resolve(client),
      },
    )
    const verdict = await filters.decide('connect', '')
    assert.equal(verdict.kind === 'refused' ? formatReply(verdict.reply) : verdict.kind, expected)
  }
})

test('rewrite gives the command another argument, and later filters see that one', async (t) => {
  const inbound = await start(t, [
    filter('ehlo', { kind: 'helo', table: list('x') }, { kind: 'rewrite', value: 'y.test' }),
    filter(
      'mail-from',
      { kind: 'mail-from', table: list('old@example.net') },
      { kind: 'rewrite', value: '<new@a.test>' },
    ),
    filter(
      'rcpt-to',
      { kind: 'rcpt-to', table: list('nobody@example.org') },
      { kind: 'rewrite', value: '<john@example.org>' },
    ),
    filter('rcpt-to', { kind: 'rcpt-to', table: list('nobody@example.org') }, no),
  ])
  await dialogue(t, inbound, [
    hello,
    ['EHLO x', '250-mx.sluice.test'],
    ['MAIL FROM:<old@example.net>', '250'],
    ['RCPT TO:<nobody@example.org>', '250'],
    data,
    dot,
  ])
  const [{ envelope } = {}] = inbound.accepted
  assert.equal(envelope?.reversePath, 'new@a.test')
  assert.deepEqual(
    envelope.recipients.map(({ mailbox }) => mailbox),
    ['john@example.org'],
  )
  assert.equal(envelope.origin.helo, 'y.test')
})

test('junk marks one message at MAIL and after, the whole session before', async (t) => {
  const spam = (inbound: TestInbound) =>
    inbound.accepted.map(({ message }) => message.startsWith('X-Spam: Yes\r\nReceived: '))
  const junk = { kind: 'junk' } as const
  const bad = { kind: 'mail-from', table: list('bad@example.net') } as const
  const lines = [hello, ehlo, ['MAIL FROM:<bad@example.net>', '250'], rcpt, data, dot, mail, rcpt, data, dot] as const
  const one = await start(t, [filter('mail-from', bad, junk)])
  await dialogue(t, one, lines)
  assert.deepEqual(spam(one), [true, false])
  const all = await start(t, [filter('ehlo', { kind: 'helo', table: list('client.test') }, junk)])
  await dialogue(t, all, lines)
  assert.deepEqual(spam(all), [true, true])
  const given = await start(t, [filter('rcpt-to', { kind: 'rcpt-to', table: list('jane@example.org') }, junk)])
  await dialogue(t, given, [
    hello,
    ehlo,
    mail,
    rcpt,
    ['RSET', '250'],
    mail,
    ['RCPT TO:<john@example.org>', '250'],
    data,
    dot,
  ])
  assert.deepEqual(spam(given), [false])
})

test('report tells the operator and changes nothing', async (t) => {
  const seen = { kind: 'report', text: 'seen' } as const
  const inbound = await start(t, [filter('mail-from', { kind: 'auth', not: true }, seen, 'watch')])
  await dialogue(t, inbound, [hello, ehlo, mail])
  const [{ filter: name, text, address } = {}] = inbound.filterReports
  assert.deepEqual([name, text, address], ['watch', 'seen', '127.0.0.1'])
})

test('bypass skips what follows in its phase only', async (t) => {
  const always = { kind: 'src', table: list('127.0.0.1') } as const
  const inbound = await start(t, [
    filter('ehlo', always, { kind: 'bypass' }),
    filter('ehlo', always, no),
    filter('mail-from', always, no),
  ])
  await dialogue(t, inbound, [hello, ehlo, ['MAIL FROM:<a@example.net>', '550']])
})

test('the filter of a login sees the user who asks, before the password is looked at', async (t) => {
  const refuse = { kind: 'disconnect', text: '535 5.7.8 not from here' } as const
  const inbound = await start(t, [filter('auth', { kind: 'auth', table: list('jane') }, refuse)], {
    listener: submission,
  })
  const client = await SmtpClient.ready({ port: inbound.port, starttls: true, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  assert.equal((await client.command(`AUTH PLAIN ${plain('jane', 'secret')}`)).raw, '535 5.7.8 not from here')
  await client.waitForClose()
  assert.ok(!inbound.events.includes('authenticated'))
})

test('conditions on the user hold once it is authenticated', async (t) => {
  const inbound = await start(t, [filter('mail-from', { kind: 'auth', table: list('jane'), not: true }, no)], {
    listener: submission,
  })
  const client = await SmtpClient.ready({
    port: inbound.port,
    starttls: true,
    user: 'jane',
    password: 'secret',
    timeoutMs: 60_000,
  })
  t.after(() => client.destroy())
  assert.equal((await client.command('MAIL FROM:<jane@example.org>')).code, 250)
})

test('a table that cannot be read is a temporary failure, never a no', async (t) => {
  const table: Table = { name: 'gone', source: { kind: 'file', path: '/nonexistent/table' }, at }
  const inbound = await start(t, [filter('rcpt-to', { kind: 'rcpt-to', table }, no)])
  await dialogue(t, inbound, [hello, ehlo, mail, ['RCPT TO:<jane@example.org>', '451 4.3.0']])
})
