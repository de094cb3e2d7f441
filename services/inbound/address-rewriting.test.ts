import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Configuration, RewritingSettings } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { addressRewriting } from './address-rewriting.ts'
import { credentials, inlineMap, startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const names = inlineMap('names', {
  'tintin@ploplo.fr': 'Tintin.Reporter@ploplo.fr',
  milou: 'snowy@ploplo.fr',
  '@old.ploplo.fr': '@ploplo.fr',
})
const rewriting: RewritingSettings = {
  canonical: [{ of: 'both', table: names, in: 'both', clients: 'local' }],
  masquerade: { domains: [{ name: 'ploplo.fr', hide: true }], clients: 'local' },
  appendDomain: 'ploplo.fr',
  completeAddresses: true,
}
const user: Origin = { kind: 'smtp', address: '192.0.2.1', user: 'tintin' }
const stranger: Origin = { kind: 'smtp', address: '192.0.2.1' }

async function header(section: string, settings = rewriting, origin = user): Promise<string> {
  const configuration = {
    hostname: 'mx.sluice.test',
    subAddressDelimiter: '+',
    rules: [],
    pipeline: { ...testPipeline, rewriting: settings },
  } as unknown as Configuration
  const sent = { origin, tags: [], reversePath: null }
  const edits = await addressRewriting(configuration, openTables())?.header(Buffer.from(section), sent)
  return applyEdits(Buffer.from(section), edits ?? []).toString()
}

test('addresses of the header are rewritten where they stand, everything else stays', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['From: =?utf-8?q?Tintin?= <tintin@PLOPLO.fr>\r\n', 'From: =?utf-8?q?Tintin?= <Tintin.Reporter@ploplo.fr>\r\n'],
    [
      'to: "Milou, the dog" (tintin@ploplo.fr)\r\n\t<milou@bd.ploplo.fr>,\r\n tintin@ploplo.fr, x@far.test\r\n',
      'to: "Milou, the dog" (tintin@ploplo.fr)\r\n\t<milou@ploplo.fr>,\r\n Tintin.Reporter@ploplo.fr, x@far.test\r\n',
    ],
    ['Cc: milou, Jane Doe\r\n', 'Cc: snowy@ploplo.fr, Jane Doe\r\n'],
    ['Reply-To: dupond\r\n', 'Reply-To: dupond@ploplo.fr\r\n'],
    ['Resent-From: tintin@old.ploplo.fr\r\n', 'Resent-From: Tintin.Reporter@ploplo.fr\r\n'],
    [
      'To: a@bd.ploplo.fr\r\nTo: b@bd.ploplo.fr\r\nTo: a@bd.ploplo.fr\r\n',
      'To: a@ploplo.fr\r\nTo: b@ploplo.fr\r\nTo: a@ploplo.fr\r\n',
    ],
    // What is no address field, not understood, or not UTF-8 is left alone.
    ['Subject: tintin@ploplo.fr\r\n', 'Subject: tintin@ploplo.fr\r\n'],
    ['To: undisclosed-recipients:;\r\n', 'To: undisclosed-recipients:;\r\n'],
    ['From: Tintin <tintin@ploplo.fr\r\n', 'From: Tintin <tintin@ploplo.fr\r\n'],
    ['From: x@far.test\r\n', 'From: x@far.test\r\n'],
  ]
  for (const [section, expected] of cases) assert.equal(await header(`${section}\r\n`), `${expected}\r\n`)
  const latin1 = Buffer.from('From: Herg\xe9 <tintin@ploplo.fr>\r\n\r\n', 'latin1')
  assert.deepEqual(Buffer.from(await header(latin1.toString('utf8'))), Buffer.from(latin1.toString('utf8')))
})

test("a stranger's header stays, but for statements that are for any client", async () => {
  const section = 'From: tintin@ploplo.fr\r\nTo: x@bd.ploplo.fr, jane\r\n\r\n'
  assert.equal(await header(section, rewriting, stranger), section)
  const any: RewritingSettings = {
    ...rewriting,
    canonical: rewriting.canonical.map((rule) => ({ ...rule, clients: 'any' })),
  }
  assert.equal(
    await header(section, any, stranger),
    'From: Tintin.Reporter@ploplo.fr\r\nTo: x@bd.ploplo.fr, jane\r\n\r\n',
  )
})

test('without a domain to append, and with "complete-addresses off", bare names stay', async () => {
  const { appendDomain: _, ...without } = rewriting
  for (const settings of [without, { ...rewriting, completeAddresses: false }])
    assert.equal(
      await header('From: dupond, tintin@ploplo.fr\r\n\r\n', settings),
      'From: dupond, Tintin.Reporter@ploplo.fr\r\n\r\n',
    )
})

test('a header of ten thousand addresses is rewritten whole', async () => {
  const many = (domain: string): string => Array.from({ length: 10_000 }, (_, index) => `u${index}@${domain}`).join(',')
  const written = await header(`To: ${many('bd.ploplo.fr')}\r\n\r\n`)
  assert.equal(written.replaceAll(/\r\n /g, ''), `To: ${many('ploplo.fr')}\r\n\r\n`)
})

async function start(t: TestContext, options: TestInboundOptions & { readonly rewriting?: RewritingSettings } = {}) {
  const settings = { ...testPipeline, rewriting: options.rewriting ?? rewriting }
  const resolveRecipient = async (_: unknown, mailbox: Mailbox) =>
    ({ kind: 'accepted', recipients: [{ mailbox }] }) as const
  const inbound = await startInbound({ resolveRecipient, ...options, configuration: { pipeline: settings, rules: [] } })
  t.after(() => inbound.close())
  return inbound
}

async function connected(t: TestContext, inbound: TestInbound, options = {}): Promise<SmtpClient> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000, ...options })
  t.after(() => client.destroy())
  return client
}

test('the sender of the envelope is the rewritten one, so that bounces go there, and the content on disk is as it came', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  const content = 'From: Tintin <tintin@ploplo.fr>\r\nTo: dupond\r\nDate: x\r\n\r\nFrom: tintin@ploplo.fr\r\n'
  for (const [from, expected] of [
    ['tintin@ploplo.fr', 'Tintin.Reporter@ploplo.fr'],
    ['milou@bd.ploplo.fr', 'milou@ploplo.fr'],
    ['milou', 'snowy@ploplo.fr'],
    ['', null],
  ] as const) {
    assert.match((await client.send({ from, to: ['x@far.test', 'dupond'], content })).raw, /^250 /)
    const stored = inbound.accepted.at(-1)
    assert.equal(stored?.envelope.reversePath, expected)
    assert.deepEqual(
      stored?.envelope.recipients.map(({ mailbox }) => mailbox),
      ['x@far.test', 'dupond@ploplo.fr'],
    )
    assert.equal(stored?.content, content)
    assert.match(
      stored?.message ?? '',
      /\r\nFrom: Tintin <Tintin\.Reporter@ploplo\.fr>\r\nTo: dupond@ploplo\.fr\r\nDate: x\r\n\r\nFrom: tintin@ploplo\.fr\r\n$/,
    )
  }
})

test('a table that cannot be read means later: at MAIL for the envelope, at the end of DATA for the header', async (t) => {
  const table = { name: 'gone', source: { kind: 'file', path: '/nonexistent/names' }, at: names.at } as const
  const rule = { of: 'sender', table, clients: 'local' } as const
  const canonical = (place: 'envelope' | 'headers') =>
    start(t, { rewriting: { canonical: [{ ...rule, in: place }], completeAddresses: true } })
  const first = await connected(t, await canonical('envelope'))
  assert.match((await first.command('MAIL FROM:<a@b.test>')).raw, /^451 4\.3\.5 /)
  const inbound = await canonical('headers')
  const second = await connected(t, inbound)
  const sent = await second.send({ from: 'a@b.test', to: ['c@d.test'], content: 'From: a@b.test\r\n\r\nx\r\n' })
  assert.match(sent.raw, /^451 4\.3\.5 /)
  assert.equal(inbound.aborted(), 1)
})

test('rules look at the header as it came, and what they remove is not rewritten', async (t) => {
  const inbound = await startInbound({
    configuration: {
      rules: [],
      pipeline: {
        ...testPipeline,
        rewriting,
        headerRules: [{ at: names.at, expression: '^Reply-To: tintin@ploplo', action: { kind: 'ignore' } }],
      },
    },
  })
  t.after(() => inbound.close())
  const client = await connected(t, inbound)
  const content = 'From: tintin@ploplo.fr\r\nReply-To: tintin@ploplo.fr\r\n\r\nx\r\n'
  await client.send({ from: 'a@b.test', to: ['jane@example.org'], content })
  assert.match(inbound.accepted[0]?.message ?? '', /;\r\n\t[^\r]*\r\nFrom: Tintin\.Reporter@ploplo\.fr\r\n\r\nx\r\n$/)
})

test('a user with "senders masquerade" keeps the name on an address that canonical writes anew', async (t) => {
  const inbound = await start(t, {
    listener: {
      tls: 'offered',
      auth: { kind: 'required', table: credentials },
      senders: { table: inlineMap('senders', { jane: 'tintin@ploplo.fr' }), masquerade: true },
    },
  })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  for (const [from, expected] of [
    ['Tintin <tintin@ploplo.fr>', 'Tintin <Tintin.Reporter@ploplo.fr>'],
    ['Boss <boss@ploplo.fr>', '<Tintin.Reporter@ploplo.fr>'],
  ] as const) {
    await client.send({ from: 'tintin@ploplo.fr', to: ['x@far.test'], content: `From: ${from}\r\n\r\nx\r\n` })
    assert.ok(inbound.accepted.at(-1)?.message.includes(`\r\nFrom: ${expected}\r\n`), from)
  }
})

test('complete-addresses off: an address without a domain is refused, but for the postmaster', async (t) => {
  const inbound = await start(t, {
    listener: { tls: 'offered', auth: { kind: 'required', table: credentials } },
    rewriting: { ...rewriting, completeAddresses: false },
  })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  assert.match((await client.command('MAIL FROM:<jane>')).raw, /^501 5\.1\.7 /)
  assert.match((await client.command('MAIL FROM:<jane@example.org>')).raw, /^250 /)
  assert.match((await client.command('RCPT TO:<john>')).raw, /^501 5\.1\.3 /)
  assert.match((await client.command('RCPT TO:<postmaster>')).raw, /^250 /)
})
