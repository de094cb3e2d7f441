import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseMailbox } from '../mail/address.ts'
import { zoneResolver } from '../restrictions/testing.ts'
import type { Zone } from '../restrictions/testing.ts'
import type { ReportKind } from './facts.ts'
import { parseReportUris, reportTargets } from './report-targets.ts'

async function told(kind: ReportKind, domain: string, zone: Zone): Promise<readonly string[]> {
  const found = await reportTargets(kind, domain, zoneResolver(zone))
  return found.map((one) => (one.kind === 'ready' ? one.target.uri : `${one.kind} ${one.uri}`))
}

test('addresses are read with their limits, encoded characters and blanks; what is none is passed over', () => {
  assert.deepEqual(parseReportUris('mailto:Jane%2Bx@Example.org!10m , mailto:b@x.test!500'), [
    { kind: 'mail', uri: 'mailto:Jane+x@example.org', address: 'Jane+x@example.org', mostBytes: 10_485_760 },
    { kind: 'mail', uri: 'mailto:b@x.test', address: 'b@x.test', mostBytes: 500 },
  ])
  assert.deepEqual(parseReportUris('MAILTO:a%2Bb@x.test?subject=x,https://Reports.test/tls?a=b'), [
    { kind: 'mail', uri: 'mailto:a+b@x.test', address: 'a+b@x.test' },
    { kind: 'post', uri: 'https://reports.test/tls?a=b' },
  ])
  for (const text of [
    '',
    'a@x.test',
    'mailto:a',
    'mailto:%zz@x.test',
    'http://x.test/',
    'mailto:a@[192.0.2.1]',
    'https://',
  ])
    assert.deepEqual(parseReportUris(text), [], text)
  assert.equal(parseReportUris('mailto:a@x.test,mailto:a@x.test').length, 1)
})

test('a host outside of the domain gets reports only when it says so', async () => {
  const record = 'v=DMARC1; p=none; rua=mailto:in@mail.north.test,mailto:out@far.test'
  const zone: Zone = { 'txt _dmarc.north.test': [record] }
  assert.deepEqual(await told('dmarc', 'north.test', zone), [
    'mailto:in@mail.north.test',
    'refused mailto:out@far.test',
  ])
  const agreed = 'txt north.test._report._dmarc.far.test'
  assert.deepEqual(
    (await told('dmarc', 'north.test', { ...zone, [agreed]: ['v=DMARC1'] })).at(-1),
    'mailto:out@far.test',
  )
  const other = ['v=DMARC1; rua=mailto:other@far.test,mailto:evil@elsewhere.test']
  assert.deepEqual((await told('dmarc', 'north.test', { ...zone, [agreed]: other })).slice(1), [
    'mailto:other@far.test',
  ])
  assert.deepEqual(
    (await told('dmarc', 'north.test', { ...zone, [agreed]: ['hello'] })).at(-1),
    'refused mailto:out@far.test',
  )
  assert.deepEqual(
    (await told('dmarc', 'north.test', { ...zone, [agreed]: 'fails' })).at(-1),
    'unknown mailto:out@far.test',
  )
})

test('a domain is asked by its record of today', async () => {
  assert.deepEqual(await told('dmarc', 'north.test', {}), [])
  assert.deepEqual(await told('dmarc', 'north.test', { 'txt _dmarc.north.test': ['v=DMARC1; p=none'] }), [])
  assert.deepEqual(await told('dmarc', 'north.test', { 'txt _dmarc.north.test': 'fails' }), ['unknown '])
  const name = 'txt _smtp._tls.far.test'
  const record = 'v=TLSRPTv1; rua=mailto:tls@elsewhere.test,https://reports.test/v1'
  assert.deepEqual(await told('tls', 'far.test', { [name]: ['x', record] }), [
    'mailto:tls@elsewhere.test',
    'https://reports.test/v1',
  ])
  assert.deepEqual(await told('tls', 'far.test', { [name]: [record, record] }), [], 'two records are none')
  assert.deepEqual(await told('tls', 'far.test', { [name]: ['v=TLSRPTv10;rua=mailto:a@x.test'] }), [])
  assert.deepEqual(await told('tls', 'far.test', { [name]: 'fails' }), ['unknown '])
})

test('a record with many addresses does not make us send to many', async () => {
  const rua = Array.from({ length: 50 }, (_, index) => `mailto:a${index}@far.test`).join(',')
  assert.equal((await told('tls', 'far.test', { 'txt _smtp._tls.far.test': [`v=TLSRPTv1;rua=${rua}`] })).length, 4)
})

test('whatever stands in a record, what is taken from it is an address or an https URI', () => {
  const piece = fc.oneof(
    fc.constantFrom('mailto:', 'https://', 'a@b.test', '!', ',', '%2', '%40', '10m', '\r\n', '?'),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      for (const target of parseReportUris(pieces.join(''))) {
        if (target.kind === 'mail') assert.equal(parseMailbox(target.address), target.address)
        else assert.equal(new URL(target.uri).protocol, 'https:')
        assert.doesNotMatch(target.uri, /[\r\n]/)
      }
    }),
  )
})
