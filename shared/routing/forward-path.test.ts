import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatReply } from '../mail/reply.ts'
import { explain, renderExplanation } from './explain.ts'
import { resolveForwardPath } from './forward-path.ts'
import { contextOf, mailbox } from './routing-fixture.ts'
import type { Transaction } from './transaction.ts'

const rules = [
  'srs key "topsecret"',
  'action "out" relay srs',
  'match from local for any action "out"',
  'match from any for domain exem.pl reject',
].join('\n')
const at = Date.UTC(2026, 10, 21)
const ours = 'SRS0=NUWk=JK=example.org=alice@exem.pl'

async function answer(recipient: string, transaction: Partial<Transaction> = {}, text = rules): Promise<string> {
  const resolution = resolveForwardPath(contextOf(text, transaction), mailbox(recipient), at)
  return resolution.kind === 'rejected'
    ? formatReply(resolution.reply)
    : resolution.recipients.map((one) => `${one.mailbox} by ${one.route.kind}`).join()
}

test('a bounce to an SRS address of ours is for the real sender, from here', async () => {
  assert.equal(await answer(ours), 'alice@example.org by relay')
})

test('nobody relays by a forged SRS address, and only bounces use one', async () => {
  assert.match(await answer(ours.replace('alice', 'bob')), /^550 5\.1\.1 /)
  assert.match(await answer(ours, { reversePath: mailbox('joe@far.org') }), /^550 /)
  assert.match(await answer(ours, {}, rules.replace('srs key "topsecret"', '')), /^550 /)
})

test('explain says whom an SRS address stands for', () => {
  const told = (address: string): string => renderExplanation(explain(contextOf(rules), mailbox(address), at))
  assert.match(told(ours), /^SRS0=\S+ is an SRS address of ours: mail for alice@example\.org, from here\n/)
  assert.match(told(ours), /RCPT: accepted for alice@example\.org$/)
  assert.match(told(ours.replace('NUWk', 'XXXX')), /is no SRS address of ours, or too old\nRCPT: 550 /)
})

test('explain says what becomes of the sender', () => {
  const ann = mailbox('ann@far.org')
  const told = (text: string): string =>
    renderExplanation(explain(contextOf(text, { peer: 'local', reversePath: mailbox('joe@a.org') }), ann, at))
  assert.match(told(rules), /relayed to far\.org\n {5}the sender becomes an SRS address of ours when an alias/)
  assert.match(told(rules.replace('relay srs', 'relay mail-from "us@b.org"')), /\n {5}the sender becomes us@b\.org\n/)
  assert.doesNotMatch(told(rules.replace('relay srs', 'relay')), /the sender/)
})
