import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { blockSender, openBlockedSenders, readBlocked, unblockSender } from './blocked-senders.ts'
import { silentLog } from './log.ts'
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
  const blocked = openBlockedSenders(folder, () => time.now, silentLog())
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

test('a long list that has changed, or cannot be read, keeps nobody waiting: what was read before holds', async (t) => {
  const folder = temporary(t)
  const time = { now: 0 }
  const warnings: unknown[] = []
  const log = { warn: (fields: unknown) => void warnings.push(fields) }
  await blockSender(folder, { recipient: jane, sender: spammer, at: 1, by: 'jane' })
  const blocked = openBlockedSenders(folder, () => (time.now += 10_000), log)
  const asked = (from: string) => blocked.isBlocked(jane, from as Mailbox, '+')
  assert.ok(asked(spammer))
  const path = join(folder, 'quarantine', 'blocked')
  const entries = Array.from({ length: 5_000 }, (_, n) => ({ recipient: jane, sender: `s${n}@spam.example` }))
  writeFileSync(path, entries.map((one) => `${JSON.stringify(one)}\n`).join(''))
  assert.equal(asked('s4999@spam.example'), false)
  assert.equal(asked(spammer), true)
  while (!asked('s4999@spam.example')) await setImmediate()
  assert.equal(asked(spammer), false)
  rmSync(path)
  mkdirSync(path)
  while (warnings.length === 0) {
    assert.equal(asked('s0@spam.example'), true)
    await setImmediate()
  }
  rmSync(path, { recursive: true })
  while (asked('s0@spam.example')) await setImmediate()
})

test('an operator blocks a domain for everybody', async (t) => {
  const folder = temporary(t)
  await blockSender(folder, { recipient: '*', sender: '@spam.example', at: 1, by: 'ada' })
  const blocked = openBlockedSenders(folder, () => 0, silentLog())
  assert.equal(blocked.isBlocked(jane, spammer, '+'), true)
  assert.equal(blocked.isBlocked(jane, 'win@sub.spam.example' as Mailbox, '+'), false)
})

test('many at once are all kept', async (t) => {
  const folder = temporary(t)
  const senders = Array.from({ length: 20 }, (_, number) => `s${number}@spam.example`)
  await Promise.all(senders.map((sender) => blockSender(folder, { recipient: jane, sender, at: 1, by: 'jane' })))
  assert.equal((await readBlocked(folder)).length, 20)
})
