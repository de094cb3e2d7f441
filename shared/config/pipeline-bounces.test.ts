import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()
const hour = 3_600_000

test('reports to one address and one domain are limited unless that is switched off', async () => {
  const bounces = { address: { count: 200, periodMs: hour }, domain: { count: 5_000, periodMs: hour } }
  assert.deepEqual((await load()).bounces, bounces)
  assert.deepEqual((await load('bounces limit address 20/10m')).bounces, {
    ...bounces,
    address: { count: 20, periodMs: 600_000 },
  })
  assert.deepEqual((await load('bounces limit domain off')).bounces, { address: bounces.address })
  assert.deepEqual((await load('bounces limit address off', 'bounces limit domain off')).bounces, {})
})

test('a full mailbox means what its server says, or what is written', async () => {
  assert.deepEqual((await load()).fullMailbox, { kind: 'as-said' })
  assert.deepEqual((await load('mailbox full permanent')).fullMailbox, { kind: 'permanent' })
  assert.deepEqual((await load('mailbox full temporary')).fullMailbox, { kind: 'temporary' })
  assert.deepEqual((await load('mailbox full temporary for 2d')).fullMailbox, { kind: 'temporary', forMs: 48 * hour })
})

test('what cannot be meant is refused', async () => {
  const mistakes: readonly (readonly [lines: string, fault: RegExp])[] = [
    ['bounces limit 100/1h', /whose limit it is/],
    ['bounces limit sender 100/1h', /whose limit it is/],
    ['bounces limit address many', /is not a rate/],
    ['bounces limit address 1/1h\nbounces limit address off', /"bounces limit address" is stated already/],
    ['bounces address 1/1h', /expected "limit"/],
    ['mailbox full', /what a full mailbox means/],
    ['mailbox full later', /as-said/],
    ['mailbox full permanent for 1d', /expected the end of the line/],
    ['mailbox full temporary\nmailbox full permanent', /"mailbox" is stated already/],
  ]
  for (const [lines, fault] of mistakes) await assert.rejects(load(lines), fault, lines)
})
