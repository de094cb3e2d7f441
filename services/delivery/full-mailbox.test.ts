import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FullMailboxRule } from '../../shared/config/model.ts'
import { formatReply, parseReplyLine } from '../../shared/mail/reply.ts'
import { byFullMailboxRule } from './full-mailbox.ts'

const day = 86_400_000

/** What a reply becomes by a rule, for a message of that age. */
function ruled(line: string, rule: FullMailboxRule, ageMs = 0): string {
  const reply = parseReplyLine(line) ?? assert.fail(line)
  const [attempt] = byFullMailboxRule([{ recipient: 0, reply, reached: 'local' }], rule, ageMs)
  return formatReply(attempt?.reply ?? assert.fail())
}

const never = '552 5.2.2 <jane> Quota exceeded (mailbox for user is full)'
const later = '452 4.2.2 <jane> Quota exceeded (mailbox for user is full)'

test('a full mailbox means what the rule says, in the words of its server', () => {
  const cases: readonly (readonly [rule: FullMailboxRule, said: string, meant: string])[] = [
    [{ kind: 'as-said' }, never, never],
    [{ kind: 'as-said' }, later, later],
    [{ kind: 'temporary' }, never, later],
    [{ kind: 'temporary' }, '550 5.7.1 over quota', '452 4.2.2 over quota'],
    [{ kind: 'permanent' }, later, never],
    [{ kind: 'permanent' }, '452 4.2.2 The mailbox is full', '552 5.2.2 The mailbox is full'],
  ]
  for (const [rule, said, meant] of cases) assert.equal(ruled(said, rule), meant, `${rule.kind}: ${said}`)
})

test('with an age mail waits for room that long, and not longer', () => {
  const rule = { kind: 'temporary', forMs: 2 * day } as const
  assert.equal(ruled(never, rule, day), later)
  assert.equal(ruled(later, rule, 2 * day), never)
})

test('no other reply is touched', () => {
  for (const line of [
    '250 2.0.0 Delivered',
    '550 5.1.1 No such user',
    '451 4.3.0 Later',
    '452 4.3.1 Insufficient system storage',
  ])
    for (const kind of ['as-said', 'temporary', 'permanent'] as const) assert.equal(ruled(line, { kind }), line)
})
