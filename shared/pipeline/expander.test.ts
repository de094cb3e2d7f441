import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Envelope } from '../mail/envelope.ts'
import type { MessageId } from '../mail/message-id.ts'
import { contextOf, mailbox } from '../routing/routing-fixture.ts'
import { createExpander } from './expander.ts'

const rules = [
  'table t { info = "joe, far@x.org", tickets = "|/bin/rt" }',
  'action "box" maildir "/m/%{user.username}" alias <t> userbase { joe = "1:1:/h" }',
  'action "out" relay',
  'match from any for domain a.org action "box"',
  'match from local for any action "out"\n',
].join('\n')

/** A report of ours. */
function report(...to: string[]): Envelope {
  return {
    id: '0mf4example000000' as MessageId,
    reversePath: null,
    recipients: to.map((one) => ({ mailbox: mailbox(one) })),
    tags: [],
    origin: { kind: 'local' },
    receivedAt: 0,
  }
}

test('a report to an address of ours reaches those behind it', async () => {
  const { configuration, tables, localAddresses } = contextOf(rules, {}, { mda: { enabled: true } })
  const expand = createExpander(() => configuration, tables, localAddresses)
  assert.deepEqual(await expand(report('info@a.org')), [
    { mailbox: 'joe@a.org', original: 'info@a.org' },
    { mailbox: 'far@x.org', original: 'info@a.org' },
  ])
  assert.deepEqual(await expand(report('tickets@a.org')), [
    { mailbox: 'tickets@a.org', target: { kind: 'command', text: '/bin/rt' } },
  ])
  assert.deepEqual(await expand(report('ann@far.org')), [{ mailbox: 'ann@far.org' }])
})

test('whom the rules refuse stays in the envelope, so that his outcome is seen', async () => {
  const { configuration, tables, localAddresses } = contextOf(rules)
  const expand = createExpander(() => configuration, tables, localAddresses)
  assert.deepEqual(await expand(report('eve@a.org')), [{ mailbox: 'eve@a.org' }])
})

test('a report to a name that canonical gave reaches the mailbox behind it', async () => {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const table = {
    name: 'names',
    source: { kind: 'inline', map: new Map([['joe.doe@a.org', 'joe@a.org']]) },
    at,
  } as const
  const canonical = [{ of: 'recipient', table, in: 'envelope', clients: 'local' }] as const
  const rewriting = { canonical, completeAddresses: true }
  const { configuration, tables, localAddresses } = contextOf(rules, {}, { rewriting })
  const expand = createExpander(() => configuration, tables, localAddresses)
  assert.deepEqual(await expand(report('Joe.Doe@a.org')), [{ mailbox: 'joe@a.org', original: 'Joe.Doe@a.org' }])
})
