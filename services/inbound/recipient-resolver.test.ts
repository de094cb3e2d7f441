import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { blockSender, openBlockedSenders } from '../../shared/blocked-senders.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { stranger } from '../../shared/restrictions/stranger.ts'
import { contextOf } from '../../shared/routing/routing-fixture.ts'
import { recipientResolver } from './recipient-resolver.ts'

test('a blocked sender is refused by who blocked him, whatever the alias, and by nobody else', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'resolver-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const rules = [
    'table known { "joe" = "1:1:/h", "ann" = "1:1:/h" }',
    'table aliases { "one" = "joe", "all" = "joe, ann" }',
    'action "here" maildir alias <aliases> userbase <known>',
    'match from any for domain "exem.pl" action "here"',
  ].join('\n')
  const { configuration, tables } = contextOf(rules)
  await blockSender(folder, { recipient: 'joe@exem.pl', sender: 'win@spam.example', at: 1, by: 'joe' })
  const resolve = recipientResolver(
    configuration,
    tables,
    openBlockedSenders(folder, () => 0, silentLog()),
  )
  const asked = async (reversePath: string | null, recipient: string) => {
    const origin = { kind: 'smtp', address: '192.0.2.1' } as const
    const envelope = { id: 'x', reversePath, recipients: [], tags: [], origin, receivedAt: 0 } as never
    const resolution = await resolve(envelope, recipient as Mailbox)
    return resolution.kind === 'rejected' ? `${resolution.reply.code} ${resolution.reply.text}` : resolution.kind
  }
  const refused = '550 The recipient does not take mail from you'
  assert.equal(await asked('win@spam.example', 'joe@exem.pl'), refused)
  assert.equal(await asked('WIN@Spam.example', 'Joe+shop@exem.pl'), refused)
  assert.equal(await asked('win@spam.example', 'one@exem.pl'), refused)
  assert.equal(await asked('win@spam.example', 'all@exem.pl'), 'accepted', 'ann wants her copy')
  assert.equal(await asked('win@spam.example', 'ann@exem.pl'), 'accepted')
  assert.equal(await asked('other@spam.example', 'joe@exem.pl'), 'accepted')
  assert.equal(await asked(null, 'joe@exem.pl'), 'accepted', 'a bounce has no sender')
})

test('a rule that refuses or leads to an alias is counted at RCPT; others are, when the copies are sent on', async () => {
  const { configuration, tables } = contextOf(
    [
      'table known { "joe" = "1:1:/h" }',
      'table aliases { "one" = "joe" }',
      'action "here" maildir alias <aliases> userbase <known>',
      'match from any for domain "exem.pl" action "here"',
      'match from any for domain "bad.example" reject',
    ].join('\n'),
  )
  const counted: string[] = []
  const hits = { count: (text: string) => void counted.push(text) }
  const resolve = recipientResolver(configuration, tables, undefined, hits)
  const ask = (recipient: string, address = '192.0.2.1') => {
    const origin = { kind: 'smtp', address } as const
    const envelope = { id: 'x', reversePath: null, recipients: [], tags: [], origin, receivedAt: 0 } as never
    return resolve(envelope, recipient as Mailbox)
  }
  await ask('joe@exem.pl')
  assert.deepEqual(counted, [])
  await ask('x@bad.example')
  await ask('one@exem.pl')
  await ask('x@bad.example', stranger)
  const [here, bad] = configuration.rules.map(({ text }) => text)
  assert.deepEqual(counted, [bad, here])
})
