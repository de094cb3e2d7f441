import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startDns } from '../test/support/dns.ts'
import { createResolver } from './resolver.ts'

test('other name servers are asked at once, and what the former ones said is forgotten', async (t) => {
  const former = await startDns({ 'example.test': { A: ['192.0.2.1'] } })
  const latter = await startDns({ 'example.test': { A: ['192.0.2.2'] } })
  const resolver = createResolver({ servers: [former.address] })
  t.after(async () => {
    resolver.close()
    await former.stop()
    await latter.stop()
  })
  assert.deepEqual(await resolver.a('example.test'), { kind: 'found', records: ['192.0.2.1'] })
  resolver.useServers([former.address])
  await resolver.a('example.test')
  assert.equal(former.queries.length, 1, 'the same servers: what is known stays')
  resolver.useServers([latter.address])
  assert.deepEqual(await resolver.a('example.test'), { kind: 'found', records: ['192.0.2.2'] })
})

test('a name with odd characters is asked about all the same, an impossible one is not', async (t) => {
  const dns = await startDns({
    'jane+list.example.test': {
      A: ['127.0.0.2'],
      AAAA: ['2001:db8::1'],
      TXT: [`${'x'.repeat(300)}y`],
      MX: [[5, 'mx.test']],
    },
    "an odd' name.example.test": { A: ['127.0.0.3'] },
    'failing!.example.test': 'SERVFAIL',
  })
  const resolver = createResolver({ servers: [dns.address] })
  t.after(async () => {
    resolver.close()
    await dns.stop()
  })
  const odd = 'jane+list.example.test'
  assert.deepEqual(await resolver.a(odd), { kind: 'found', records: ['127.0.0.2'] })
  assert.deepEqual(await resolver.a("an odd' name.example.test"), { kind: 'found', records: ['127.0.0.3'] })
  assert.deepEqual(await resolver.aaaa(odd), { kind: 'found', records: ['2001:db8:0:0:0:0:0:1'] })
  assert.deepEqual(await resolver.txt(odd), { kind: 'found', records: [`${'x'.repeat(300)}y`] })
  assert.deepEqual(await resolver.mx(odd), { kind: 'found', records: [{ exchange: 'mx.test', priority: 5 }] })
  assert.deepEqual(await resolver.a('none!.example.test'), { kind: 'absent', name: true })
  assert.equal((await resolver.a('failing!.example.test')).kind, 'failed')
  const before = dns.queries.length
  for (const name of ['a..example.test', `${'x'.repeat(64)}.test`, `${'x.'.repeat(130)}test`])
    assert.deepEqual(await resolver.a(name), { kind: 'absent', name: true }, name)
  assert.equal(dns.queries.length, before)
})

test('a DNS server without an answer is told in words, whoever reads the answer', async (t) => {
  const dns = await startDns({ 'fails.test': 'SERVFAIL', 'odd+fails.test': 'SERVFAIL', 'refused.test': 'REFUSED' })
  const resolver = createResolver({ servers: [dns.address] })
  t.after(async () => {
    resolver.close()
    await dns.stop()
  })
  const said = async (name: string): Promise<string> => {
    const answer = await resolver.mx(name)
    return answer.kind === 'failed' ? answer.error.message : answer.kind
  }
  assert.equal(await said('fails.test'), 'the DNS server found no answer (SERVFAIL)')
  assert.equal(await said('odd+fails.test'), 'the DNS server found no answer (SERVFAIL)')
  assert.equal(await said('refused.test'), 'the DNS server refuses to answer (REFUSED)')
})
