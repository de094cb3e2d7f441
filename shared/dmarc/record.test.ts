import assert from 'node:assert/strict'
import { test } from 'node:test'

import { organisationalDomain } from './organisational-domain.ts'
import { dmarcRecordAmong, parseDmarc } from './record.ts'

test('a record is read with blanks, capitals and unknown tags', () => {
  assert.deepEqual(parseDmarc('v=DMARC1 ;P = Quarantine ; x=y; aspf=S;; pct=999'), {
    policy: 'quarantine',
    subdomainPolicy: 'quarantine',
    strictDkim: false,
    strictSpf: true,
    percent: 100,
  })
})

test('the organisational domain follows the public suffix list', () => {
  for (const [name, organisation] of [
    ['mail.example.co.uk', 'example.co.uk'],
    ['example.org', 'example.org'],
    ['a.b.user.github.io', 'user.github.io'],
    ['com', 'com'],
    ['localhost', 'localhost'],
  ] as const)
    assert.equal(organisationalDomain(name), organisation)
})

test('the addresses for reports keep their letters; an empty list asks for nothing', () => {
  const rua = 'mailto:Reports+A@Example.org!10m,mailto:b@example.org'
  assert.equal(parseDmarc(`v=DMARC1; p=none; RUA= ${rua} ;`)?.reportsTo, rua)
  assert.equal(parseDmarc('v=DMARC1; p=none; rua=')?.reportsTo, undefined)
})

test('other texts beside the record are passed over; of two records none counts', () => {
  assert.equal(dmarcRecordAmong(['spf2.0/pra', 'v=DMARC1;p=reject', 'v=DMARC10;p=none'])?.policy, 'reject')
  assert.equal(dmarcRecordAmong(['v=DMARC1;p=reject', 'v=DMARC1;p=none']), undefined)
})
