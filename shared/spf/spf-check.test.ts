import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { zoneResolver } from '../restrictions/testing.ts'
import type { Zone } from '../restrictions/testing.ts'
import { createSpfCheck } from './spf-check.ts'
import type { SpfResult } from './spf-check.ts'

function checker(zone: Zone): {
  readonly asked: string[]
  readonly clock: { at: number }
  check(address: string | undefined, reversePath?: string | null, helo?: string): Promise<SpfResult>
} {
  const resolver = zoneResolver(zone)
  const clock = { at: 1_700_000_000_000 }
  const spf = createSpfCheck({ resolver, clock: { now: () => clock.at }, hostname: 'mx.sluice.example' })
  return {
    asked: resolver.asked,
    clock,
    check: (address, reversePath = 'jane@example.org', helo = 'mail.example.org') => {
      const origin = { helo, ...(address === undefined ? {} : { address }) }
      return spf.check({ origin, reversePath: reversePath as Mailbox | null })
    },
  }
}

const mine = '192.0.2.7'
const other = '198.51.100.1'

const cases: readonly (readonly [string, Zone, string, SpfResult['result']])[] = [
  ['a listed client', { 'txt example.org': ['v=spf1 ip4:192.0.2.0/24 -all'] }, mine, 'pass'],
  ['another client', { 'txt example.org': ['v=spf1 ip4:192.0.2.0/24 -all'] }, other, 'fail'],
  ['another client, softly', { 'txt example.org': ['v=spf1 ip4:192.0.2.0/24 ~all'] }, other, 'softfail'],
  ['no record', { 'txt example.org': ['other text'] }, mine, 'none'],
  ['two records', { 'txt example.org': ['v=spf1 -all', 'v=spf1 +all'] }, mine, 'permerror'],
  ['a broken record', { 'txt example.org': ['v=spf1 ipv4:192.0.2.7 -all'] }, mine, 'permerror'],
  [
    'MX',
    { 'txt example.org': ['v=spf1 mx -all'], 'mx example.org': ['mx.example.org'], 'a mx.example.org': [mine] },
    mine,
    'pass',
  ],
  [
    'PTR',
    { 'txt example.org': ['v=spf1 ptr -all'], [`ptr ${mine}`]: ['m.example.org'], 'a m.example.org': [mine] },
    mine,
    'pass',
  ],
  ['a record that cannot be looked up', { 'txt example.org': 'fails' }, mine, 'temperror'],
  [
    'an include that cannot be looked up',
    { 'txt example.org': ['v=spf1 include:a.example -all'], 'txt a.example': 'fails' },
    mine,
    'temperror',
  ],
  [
    'a redirect that cannot be looked up',
    { 'txt example.org': ['v=spf1 redirect=a.example'], 'txt a.example': 'fails' },
    mine,
    'temperror',
  ],
  [
    'an address that cannot be looked up',
    { 'txt example.org': ['v=spf1 a -all'], 'a example.org': 'fails' },
    mine,
    'temperror',
  ],
  [
    'an MX that cannot be looked up',
    { 'txt example.org': ['v=spf1 mx ~all'], 'mx example.org': 'fails' },
    mine,
    'temperror',
  ],
  [
    'a PTR that cannot be looked up is no match',
    { 'txt example.org': ['v=spf1 ptr -all'], [`ptr ${mine}`]: 'fails' },
    mine,
    'fail',
  ],
  ['an IPv6 client', { 'txt example.org': ['v=spf1 ip6:2001:db8::/32 -all'] }, '2001:db8::1', 'pass'],
]

for (const [what, zone, client, result] of cases)
  test(`${what}: ${result}`, async () => assert.equal((await checker(zone).check(client)).result, result))

test('for the null reverse-path the name in HELO is checked', async () => {
  const spf = checker({ 'txt mail.example.org': ['v=spf1 ip4:192.0.2.7 -all'] })
  assert.deepEqual(await spf.check(mine, null), {
    result: 'pass',
    domain: 'mail.example.org',
    identity: 'helo',
    value: 'mail.example.org',
  })
  assert.equal((await spf.check(mine, null, '[192.0.2.7]')).result, 'none')
})

test('without a client address there is nothing to check', async () => {
  assert.equal((await checker({}).check(undefined)).result, 'none')
})

test('the same question is answered from memory for a minute', async () => {
  const spf = checker({ 'txt example.org': ['v=spf1 ip4:192.0.2.7 -all'] })
  await spf.check(mine)
  await spf.check(mine, 'joe@example.org')
  assert.equal(spf.asked.length, 1)
  assert.equal((await spf.check(other)).result, 'fail')
  spf.clock.at += 61_000
  await spf.check(mine)
  assert.equal(spf.asked.length, 3)
})

test('what depends on the sender or could not be looked up is not kept', async () => {
  const spf = checker({
    'txt example.org': ['v=spf1 exists:%{l}.ok.example -all'],
    'a jane.ok.example': ['127.0.0.1'],
    'txt failing.example': 'fails',
  })
  assert.equal((await spf.check(mine)).result, 'pass')
  assert.equal((await spf.check(mine, 'joe@example.org')).result, 'fail')
  await spf.check(mine, 'a@failing.example')
  await spf.check(mine, 'a@failing.example')
  assert.equal(spf.asked.filter((question) => question === 'txt failing.example').length, 2)
})
