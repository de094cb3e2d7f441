import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { blockSender, openBlockedSenders, readBlocked, unblockSender } from './blocked-senders.ts'
import type { Mailbox } from './mail/address.ts'

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'blocked-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

const jane = 'jane@sluice.test' as Mailbox
const spammer = 'win@spam.example' as Mailbox

test('who is blocked is blocked for that recipient alone, and lets go of at once when he is let in again', async (t) => {
  const folder = temporary(t)
  const time = { now: 0 }
  const blocked = openBlockedSenders(folder, () => time.now)
  const asked = (to: string, from: string) => {
    time.now += 10_000
    return blocked.isBlocked(to as Mailbox, from as Mailbox, '+')
  }
  assert.equal(asked(jane, spammer), false)
  assert.equal(await blockSender(folder, { recipient: jane, sender: spammer, at: 1, by: 'jane' }), true)
  assert.equal(await blockSender(folder, { recipient: jane, sender: spammer, at: 2, by: 'jane' }), false)
  assert.equal(asked(jane, spammer), true)
  assert.equal(asked('Jane+shop@Sluice.test', 'WIN@spam.example'), true, 'however it is written')
  assert.equal(asked('joe@sluice.test', spammer), false)
  assert.equal(asked(jane, 'other@spam.example'), false)
  assert.equal(await unblockSender(folder, { recipient: jane, sender: spammer }), true)
  assert.equal(await unblockSender(folder, { recipient: jane, sender: spammer }), false)
  assert.equal(asked(jane, spammer), false)
})

test('an operator blocks a domain for everybody', async (t) => {
  const folder = temporary(t)
  await blockSender(folder, { recipient: '*', sender: '@spam.example', at: 1, by: 'ada' })
  const blocked = openBlockedSenders(folder, () => 0)
  assert.equal(blocked.isBlocked(jane, spammer, '+'), true)
  assert.equal(blocked.isBlocked(jane, 'win@sub.spam.example' as Mailbox, '+'), false)
})

test('many at once are all kept', async (t) => {
  const folder = temporary(t)
  const senders = Array.from({ length: 20 }, (_, number) => `s${number}@spam.example`)
  await Promise.all(senders.map((sender) => blockSender(folder, { recipient: jane, sender, at: 1, by: 'jane' })))
  assert.equal((await readBlocked(folder)).length, 20)
})
