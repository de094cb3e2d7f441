import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { type DnsServer, type DnsZone, startDns } from '../../test/support/dns.ts'
import { dnsPlace } from './exchange.ts'
import { isUsable, parseTlsa } from './tlsa.ts'
import { createValidatingResolver } from './validating-resolver.ts'

const closing: (() => Promise<void> | void)[] = []
after(async () => {
  for (const close of closing) await close()
})

async function world(zone: DnsZone) {
  const dns = await startDns(zone)
  const resolver = open(dns)
  closing.push(() => dns.stop())
  return { dns, resolver }
}

function open(...servers: readonly Pick<DnsServer, 'address'>[]) {
  const resolver = createValidatingResolver({ timeoutMs: 30_000 })
  resolver.useServers(servers.map((server) => server.address))
  closing.push(() => resolver.close())
  return resolver
}

const digest = 'ab'.repeat(32)

test('records come with whether their signatures were checked', async () => {
  const { resolver } = await world({
    'far.test': { MX: [[10, 'mx.far.test']], signed: true },
    'mx.far.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'], signed: true },
    '_25._tcp.mx.far.test': { TLSA: [`030101${digest}`], signed: true },
    'plain.test': { MX: [[10, 'mx.plain.test']] },
    'alias.test': { CNAME: 'plain.test', signed: true },
  })
  const found = (owner: string, records: readonly unknown[], authenticated = true) => ({
    kind: 'found',
    records,
    authenticated,
    owner,
  })
  assert.deepEqual(await resolver.mx('far.test'), found('far.test', [{ priority: 10, exchange: 'mx.far.test' }]))
  assert.deepEqual(await resolver.a('mx.far.test'), found('mx.far.test', ['192.0.2.1']))
  assert.deepEqual(await resolver.aaaa('MX.far.test'), found('mx.far.test', ['2001:db8:0:0:0:0:0:1']))
  const tlsa = { usage: 3, selector: 1, matching: 1, data: Buffer.from(digest, 'hex') }
  assert.deepEqual(await resolver.tlsa('_25._tcp.mx.far.test'), found('_25._tcp.mx.far.test', [tlsa]))
  assert.deepEqual(
    await resolver.mx('alias.test'),
    found('plain.test', [{ priority: 10, exchange: 'mx.plain.test' }], false),
  )
})

test('what does not exist is told apart from what nobody knows', async () => {
  const { resolver, dns } = await world({
    'empty.test': { A: ['192.0.2.1'], signed: true },
    'bogus.test': 'SERVFAIL',
    'refused.test': 'REFUSED',
    'cut.test': { TLSA: ['0301'], signed: true },
  })
  assert.deepEqual(await resolver.mx('empty.test'), { kind: 'absent', name: false, authenticated: true })
  assert.deepEqual(await resolver.mx('none.test'), { kind: 'absent', name: true, authenticated: false })
  for (const name of ['bogus.test', 'refused.test', 'cut.test', 'no..name', 'x'.repeat(64)]) {
    const { kind, authenticated } = await resolver.tlsa(name)
    assert.deepEqual([kind, authenticated], ['failed', false], name)
  }
  dns.set({ 'bogus.test': { TLSA: [`030101${digest}`], signed: true } })
  assert.equal((await resolver.tlsa('bogus.test')).kind, 'found')
})

test('an answer that does not fit into a datagram is fetched by TCP', async () => {
  const TLSA = Array.from({ length: 60 }, (_, index) => `0301${(index % 2) + 1}`.replace(/.$/, '01') + digest)
  const { resolver, dns } = await world({ 'big.test': { TLSA, signed: true } })
  const answer = await resolver.tlsa('big.test')
  assert.equal(answer.kind === 'found' ? answer.records.length : 0, 60)
  assert.deepEqual(
    dns.queries.map(({ transport }) => transport),
    ['udp', 'tcp'],
  )
})

test('a server that is not there leaves the question to the next one', async () => {
  const gone = await startDns()
  await gone.stop()
  const { dns } = await world({ 'far.test': { A: ['192.0.2.1'], signed: true } })
  assert.equal((await open(gone, dns).a('far.test')).kind, 'found')
  assert.equal((await open().a('far.test')).kind, 'failed')
})

test('many questions at a time are nothing to warn of', async (t) => {
  const names = Array.from({ length: 30 }, (_one, number) => `far-${number}.test`)
  const { dns } = await world(Object.fromEntries(names.map((name) => [name, { A: ['192.0.2.1'] }])))
  const resolver = open(dns)
  const warnings: string[] = []
  const take = (warning: Error): void => void warnings.push(warning.name)
  process.on('warning', take)
  t.after(() => process.off('warning', take))
  await Promise.all(names.map((name) => resolver.a(name)))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warnings, [])
})

test('equal questions share an answer, until it is old or others are asked', async () => {
  let nowAt = 0
  const { dns } = await world({ 'far.test': { A: ['192.0.2.1'] } })
  const resolver = createValidatingResolver({ now: () => nowAt, timeoutMs: 30_000 })
  closing.push(() => resolver.close())
  resolver.useServers([dns.address])
  await Promise.all([resolver.a('far.test'), resolver.a('FAR.test')])
  await resolver.a('far.test')
  assert.equal(dns.count('far.test'), 1)
  nowAt = 5_000
  await resolver.a('far.test')
  assert.equal(dns.count('far.test'), 2)
  resolver.useServers([dns.address])
  await resolver.a('far.test')
  assert.equal(dns.count('far.test'), 2)
})

test('addresses of resolvers are read as pipeline.conf takes them', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['10.0.0.53', '10.0.0.53', 53],
    ['10.0.0.53:5353', '10.0.0.53', 5353],
    ['[::1]:5353', '::1', 5353],
    ['[::1]', '::1', 53],
    ['2001:db8::53', '2001:db8::53', 53],
  ]
  for (const [text, address, port] of cases) assert.deepEqual(dnsPlace(text), { address, port }, text)
})

test('records that no mail server can be checked by are known as such', () => {
  const usable = (hex: string) => {
    const record = parseTlsa(Buffer.from(hex, 'hex'))
    return record !== undefined && isUsable(record)
  }
  for (const hex of [`030101${digest}`, `020001${digest}`, `030102${digest}${digest}`, '030000aabb'])
    assert.ok(usable(hex), hex)
  for (const hex of [
    `000101${digest}`,
    `010101${digest}`,
    `030201${digest}`,
    `030103${digest}`,
    `030102${digest}`,
    '030101',
    '0301',
  ])
    assert.ok(!usable(hex), hex)
})
