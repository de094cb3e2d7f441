import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SignatureResult } from '../../../shared/dkim/verify.ts'
import type { SpfVerdict } from '../../../shared/spf/check-host.ts'
import { zoneResolver } from '../testing.ts'
import type { Zone } from '../testing.ts'
import { checkDmarc } from './dmarc.ts'
import type { DmarcResult } from './dmarc.ts'

interface Given {
  readonly author?: string
  readonly record?: string
  readonly spf?: readonly [SpfVerdict, string]
  readonly dkim?: readonly (readonly [SignatureResult['result'], string])[]
  readonly zone?: Zone
  readonly sample?: number
}

function check(given: Given): Promise<DmarcResult> {
  const { author = 'example.org', record = 'v=DMARC1; p=reject', dkim = [], sample = 50 } = given
  const [spf, domain] = given.spf ?? ['none', 'other.example']
  const resolver = zoneResolver(given.zone ?? { 'txt _dmarc.example.org': [record] })
  return checkDmarc(
    {
      fromFields: 1,
      authors: [author],
      spf: { result: spf, domain, identity: 'mailfrom', value: `a@${domain}` },
      dkim: dkim.map(([result, domain]) => ({ result, domain })),
      sample,
    },
    (name) => resolver.txt(name),
  )
}

const cases: readonly (readonly [string, Given, DmarcResult['result'], DmarcResult['disposition']])[] = [
  ['SPF of the same domain', { spf: ['pass', 'example.org'] }, 'pass', 'none'],
  ['SPF of a subdomain, relaxed', { spf: ['pass', 'mail.example.org'] }, 'pass', 'none'],
  [
    'SPF of a subdomain, strict',
    { spf: ['pass', 'mail.example.org'], record: 'v=DMARC1; p=reject; aspf=s' },
    'fail',
    'reject',
  ],
  ['DKIM of a subdomain, relaxed', { dkim: [['pass', 'mail.example.org']] }, 'pass', 'none'],
  [
    'DKIM of a subdomain, strict',
    { dkim: [['pass', 'mail.example.org']], record: 'v=DMARC1; p=reject; adkim=s' },
    'fail',
    'reject',
  ],
  [
    'DKIM of the parent for an author in a subdomain, strict',
    {
      author: 'yo.example.org',
      dkim: [['pass', 'example.org']],
      record: 'v=DMARC1; p=reject; adkim=s; aspf=s',
    },
    'fail',
    'reject',
  ],
  [
    'DKIM of the same domain in capitals, strict',
    { dkim: [['pass', 'EXAMPLE.org']], record: 'v=DMARC1; p=reject; adkim=s' },
    'pass',
    'none',
  ],
  ['another domain under the same public suffix', { spf: ['pass', 'evil.org'] }, 'fail', 'reject'],
  ['a domain that only ends alike', { dkim: [['pass', 'notexample.org']] }, 'fail', 'reject'],
  [
    'a failed signature beside a valid one',
    {
      dkim: [
        ['fail', 'example.org'],
        ['pass', 'example.org'],
      ],
    },
    'pass',
    'none',
  ],
  ['an aligned SPF look-up that failed', { spf: ['temperror', 'example.org'] }, 'temperror', 'none'],
  ['a failed look-up of somebody else', { spf: ['temperror', 'other.example'] }, 'fail', 'reject'],
  [
    'a policy for subdomains',
    { author: 'a.example.org', record: 'v=DMARC1; p=reject; sp=quarantine' },
    'fail',
    'quarantine',
  ],
  ['pct that hits', { record: 'v=DMARC1; p=reject; pct=51' }, 'fail', 'reject'],
  ['pct that does not hit', { record: 'v=DMARC1; p=reject; pct=50' }, 'fail', 'quarantine'],
  ['no record', { zone: {} }, 'none', 'none'],
  ['two records', { zone: { 'txt _dmarc.example.org': ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] } }, 'none', 'none'],
  ['a record that cannot be looked up', { zone: { 'txt _dmarc.example.org': 'fails' } }, 'temperror', 'none'],
  ['no valid policy', { record: 'v=DMARC1; p=maybe' }, 'none', 'none'],
  ['no valid policy but reports', { record: 'v=DMARC1; p=maybe; rua=mailto:a@b' }, 'fail', 'none'],
]

for (const [what, given, result, disposition] of cases)
  test(`${what}: ${result}${disposition === 'none' ? '' : `, ${disposition}`}`, async () => {
    const found = await check(given)
    assert.deepEqual([found.result, found.disposition], [result, disposition])
  })

test('a message without exactly one author domain proves nothing', async () => {
  const input = {
    spf: { result: 'pass', domain: 'a.example', identity: 'mailfrom', value: '' },
    dkim: [],
    sample: 0,
  } as const
  const txt = zoneResolver({}).txt
  for (const [fromFields, authors] of [
    [0, []],
    [2, ['a.example']],
    [1, []],
    [1, ['a.example', 'b.example']],
  ] as const)
    assert.equal((await checkDmarc({ ...input, fromFields, authors }, txt)).result, 'permerror')
})
