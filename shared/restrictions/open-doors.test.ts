import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Restriction } from '../config/model.ts'
import { contextOf } from '../routing/routing-fixture.ts'
import { findOpenDoors } from './open-doors.ts'

const gateways = ['172.17.0.1', 'fd00:0000:0000:0001:0000:0000:0000:0001']
const base = [
  'listen on eth0 port 25',
  'table mynetworks { "172.17.0.0/16" }',
  'table six { "fd00:0:0:1::/64" }',
  'table others { "172.18.0.0/16" }',
  'action "out" relay',
  'action "in" maildir "/mail"',
]

async function doors(rule: string, restrictions: readonly Restriction[] = [], inside = gateways) {
  const context = contextOf([...base, rule].join('\n'), {}, { restrictions })
  const found = await findOpenDoors({ ...context, nowAt: 0 }, inside)
  return found.map(({ code, at }) => `${code}@${at.line}`)
}

test('a network that may relay must not have the gateway of our container in it', async () => {
  assert.deepEqual(await doors('match from src <mynetworks> for any action "out"'), ['trusted-gateway@7'])
  assert.deepEqual(await doors('match from src <six> for any action "out"'), ['trusted-gateway@7'])
  assert.deepEqual(await doors('match from src <others> for any action "out"'), [])
  assert.deepEqual(await doors('match from src <mynetworks> for any action "out"', [], []), [], 'no container')
  assert.deepEqual(await doors('match from src <mynetworks> for any action "in"'), [], 'it stays here')
  assert.deepEqual(await doors('match from src <mynetworks> for domain "x.org" action "out"'), [])
  assert.deepEqual(await doors('match ! from src <mynetworks> for domain "x.org" action "out"'), [])
})

test('nor may one that a restriction permits, and each is told once', async () => {
  const rule = 'match from src <mynetworks> for any action "out"'
  const { configuration } = contextOf([...base, rule].join('\n'))
  const table = configuration.tables.get('mynetworks')
  assert.ok(table)
  const at = { file: 'pipeline.conf', line: 3, column: 1 }
  const when = { kind: 'table', subject: 'client', table } as const
  const permit: Restriction = { stage: 'rcpt', rule: { kind: 'permit', when }, text: 'permit', at }
  const refuse: Restriction = { ...permit, rule: { kind: 'reply', when, reply: '554 no' } }
  const stays = 'match from any for domain "x.org" action "in"'
  assert.deepEqual(await doors(stays, [permit]), ['trusted-gateway@3'])
  assert.deepEqual(await doors(stays, [refuse]), [])
  assert.deepEqual(await doors(rule, [permit, permit]), ['trusted-gateway@7'])
})
