import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isSpfRecord, parseSpfRecord } from './record.ts'

test('an SPF record is known by its first word', () => {
  for (const text of ['v=spf1', 'v=spf1 -all', 'V=SPF1 mx']) assert.equal(isSpfRecord(text), true, text)
  for (const text of ['v=spf10 -all', 'v=spf1-all', ' v=spf1 -all', 'v=spf2.0/pra -all', 'v=spf1\t-all'])
    assert.equal(isSpfRecord(text), false, text)
})

const good = [
  '',
  ' ',
  ' -all',
  '  a   mx  ?all  ',
  ' A MX PTR ALL',
  ' a:north.example/24//64 mx/0 mx//0 a/32 ptr:north.example',
  ' ip4:192.0.2.1 ip4:192.0.2.0/24 ip4:0.0.0.0/0 ip6:2001:db8::/32 ip6:::1 ip6:::ffff:192.0.2.1/120',
  ' include:%{d2}.lists.example exists:%{ir}.%{v}.ok.example',
  ' redirect=other.example exp=why.%{d}',
  ' note=anything/else:%{i} x-1.y_z= other==',
  ' -all redirect=other.example',
]

for (const terms of good) test(`'v=spf1${terms}' is a record`, () => assert.ok(parseSpfRecord(`v=spf1${terms}`)))

const bad = [
  ' all:north.example',
  ' all.',
  ' -all/8',
  ' --all',
  ' moo',
  ' a=b%{x}',
  ' include',
  ' include:',
  ' include:north.example/24',
  ' exists',
  ' exists:',
  ' a:',
  ' a:north',
  ' a/33',
  ' a/024',
  ' a//129',
  ' a:north.example/',
  ' a:north.example/24/64',
  ' ptr:',
  ' ptr/24',
  ' ip4',
  ' ip4:',
  ' ip4:192.0.2',
  ' ip4:192.0.2.256',
  ' ip4:192.0.2.0/33',
  ' ip4:192.0.2.0//24',
  ' ip4:2001:db8::1',
  ' ip6',
  ' ip6:192.0.2.1',
  ' ip6:2001:db8::/129',
  ' ip6:2001:db8::%eth0',
  ' redirect=',
  ' redirect=north.example/24',
  ' redirect=a.example redirect=b.example',
  ' exp=',
  ' exp=%',
  ' exp=a.example exp=a.example',
  ' -redirect=a.example',
  ' a\tmx',
  ' ip4:192.0.2.1\u00a0',
  ' 1x=y',
  // What stands behind the mechanism that matches counts too.
  ' +all moo',
  ' +all exp=',
]

for (const terms of bad)
  test(`'v=spf1${terms}' has an error`, () => assert.equal(parseSpfRecord(`v=spf1${terms}`), undefined))

test('a directive says what it results in, and pass unless told otherwise', () => {
  const record = parseSpfRecord('v=spf1 a -mx ~ptr ?exists:a.example +all')
  assert.deepEqual(
    record?.directives.map(({ result, mechanism }) => `${result} ${mechanism.kind}`),
    ['pass a', 'fail mx', 'softfail ptr', 'neutral exists', 'pass all'],
  )
})

test('lengths of both families are read', () => {
  const [first, second] = parseSpfRecord('v=spf1 a:x.example/20//48 mx//10')?.directives ?? []
  assert.deepEqual(first?.mechanism, { kind: 'a', domain: ['x.example'], bits: { 4: 20, 6: 48 } })
  assert.deepEqual(second?.mechanism, { kind: 'mx', bits: { 4: 32, 6: 10 } })
})
