import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { QuotaStatusSettings } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { contextOf } from '../../shared/routing/routing-fixture.ts'
import { startTestingServer } from '../../shared/table-host/testing-server.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { recipientResolver } from './recipient-resolver.ts'
import { startInbound, testPipeline } from './testing.ts'

const place = { kind: 'tcp', host: '127.0.0.1', port: 1 } as const

/** Answers like Dovecot: `full` and `nearly` have no room. */
async function quotaService(t: TestContext) {
  const asked: Record<string, string>[] = []
  const server = await startTestingServer(t, (socket, said) => {
    const attributes = Object.fromEntries(
      said
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => [line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1)]),
    )
    asked.push(attributes)
    const { recipient = '', size } = attributes
    if (recipient.startsWith('full@')) socket.write('action=552 5.2.2 Mailbox is full\n\n')
    else if (recipient.startsWith('nearly@') && Number(size) > 1000)
      socket.write('action=452 4.2.2 Mailbox is full\n\n')
    else socket.write('action=DUNNO\n\n')
  })
  return { asked, server }
}

async function start(t: TestContext, quotaStatus: QuotaStatusSettings): Promise<SmtpClient> {
  const inbound = await startInbound({
    configuration: { pipeline: { ...testPipeline, quotaStatus } },
    resolveRecipient: async (_, mailbox) => ({
      kind: 'accepted',
      recipients: [{ mailbox }],
      ...(mailbox.endsWith('@far.test') ? {} : { deliveredTo: mailbox.replace(/^alias@/, 'full@') as Mailbox }),
    }),
  })
  t.after(() => inbound.close())
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  return client
}

test('a full mailbox is refused at RCPT with the words of the service, the others are not', async (t) => {
  const { asked, server } = await quotaService(t)
  const client = await start(t, { place: server.place, timeoutMs: 60_000, onFailure: 'tempfail' })
  for (const [line, reply] of [
    ['MAIL FROM:<a@example.net> SIZE=5000', '250 2.1.0'],
    ['RCPT TO:<full@example.org>', '552 5.2.2 <full@example.org>: Mailbox is full'],
    ['RCPT TO:<alias@example.org>', '552 5.2.2 <full@example.org>: Mailbox is full'],
    ['RCPT TO:<nearly@example.org>', '452 4.2.2 <nearly@example.org>: Mailbox is full'],
    ['RCPT TO:<jane@example.org>', '250 2.1.5'],
    ['RCPT TO:<full@far.test>', '250 2.1.5'],
    ['RSET', '250'],
    ['MAIL FROM:<>', '250 2.1.0'],
    ['RCPT TO:<nearly@example.org>', '250 2.1.5'],
  ] as const)
    assert.ok((await client.command(line)).raw.startsWith(reply), line)
  assert.deepEqual(
    asked.map(({ recipient, sender, size }) => [recipient, sender, size]),
    [
      ['full@example.org', 'a@example.net', '5000'],
      ['full@example.org', 'a@example.net', '5000'],
      ['nearly@example.org', 'a@example.net', '5000'],
      ['jane@example.org', 'a@example.net', '5000'],
      ['nearly@example.org', '', '0'],
    ],
  )
  assert.deepEqual([asked[0]?.['protocol_state'], asked[0]?.['client_address']], ['RCPT', '127.0.0.1'])
})

test('while the service is away mail is taken, or refused for now, as on-failure says', async (t) => {
  for (const [onFailure, reply] of [
    ['proceed', '250 2.1.5'],
    ['tempfail', '451 4.3.0'],
  ] as const) {
    const server = await startTestingServer(t, (socket) => socket.destroy())
    const client = await start(t, { place: server.place, timeoutMs: 60_000, onFailure })
    await client.command('MAIL FROM:<a@example.net>')
    assert.ok((await client.command('RCPT TO:<full@example.org>')).raw.startsWith(reply), onFailure)
  }
})

test('asked for is the one mailbox of this host behind an address, behind queues too; lists and relayed mail are not', async () => {
  const rules = [
    'table known { "joe" = "1:1:/h", "ann" = "1:1:/h" }',
    'table aliases { "one" = "joe", "all" = "joe, ann", "away" = "x@far.test" }',
    'action "scan" relay host "smtp://localhost:10024"',
    'action "here" maildir alias <aliases> userbase <known>',
    'action "out" relay',
    'match from any tag Filtered for domain "exem.pl" action "here"',
    'match from any for domain "exem.pl" action "scan"',
    'match from any for domain "far.test" action "out"',
  ].join('\n')
  const quotaStatus: QuotaStatusSettings = { place, timeoutMs: 1, onFailure: 'proceed' }
  const deliveredTo = async (recipient: string, asks = true) => {
    const { configuration, tables } = contextOf(rules, {}, asks ? { quotaStatus } : {})
    const origin = { kind: 'smtp', address: '192.0.2.1' } as const
    const envelope = { id: 'x', reversePath: null, recipients: [], tags: [], origin, receivedAt: 0 } as never
    const resolution = await recipientResolver(configuration, tables)(envelope, recipient as Mailbox)
    return resolution.kind === 'accepted' ? resolution.deliveredTo : 'refused'
  }
  assert.equal(await deliveredTo('joe@exem.pl'), 'joe@exem.pl')
  assert.equal(await deliveredTo('one@exem.pl'), 'joe@exem.pl')
  assert.equal(await deliveredTo('all@exem.pl'), undefined)
  assert.equal(await deliveredTo('away@exem.pl'), undefined)
  assert.equal(await deliveredTo('x@far.test'), undefined)
  assert.equal(await deliveredTo('joe@exem.pl', false), undefined)
  assert.equal(await deliveredTo('nobody@exem.pl'), 'refused')
})
