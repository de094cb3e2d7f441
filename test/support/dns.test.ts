import assert from 'node:assert/strict'
import { Resolver } from 'node:dns/promises'
import { test } from 'node:test'

import { atEnd } from './at-end.ts'
import { startDns } from './dns.ts'

test('the name server answers as the zone says, and counts', async (t) => {
  const long = 'v=DKIM1; p='.padEnd(700, 'x')
  const dns = await startDns({
    'example.test': {
      MX: [
        [10, 'mx.example.test'],
        [0, 'mx0.example.test'],
      ],
      TXT: ['v=spf1 -all', long],
    },
    'mx.example.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] },
    'www.example.test': { CNAME: 'mx.example.test' },
    '1.2.0.192.in-addr.arpa': { PTR: ['mx.example.test'] },
    'broken.test': 'SERVFAIL',
  })
  atEnd(t, () => dns.stop())
  const resolver = new Resolver({ timeout: 2000, tries: 1 })
  resolver.setServers([dns.address])
  assert.deepEqual(
    (await resolver.resolveMx('example.test')).toSorted((a, b) => a.priority - b.priority),
    [
      { priority: 0, exchange: 'mx0.example.test' },
      { priority: 10, exchange: 'mx.example.test' },
    ],
  )
  const texts = await resolver.resolveTxt('example.test')
  assert.deepEqual(texts.map((parts) => parts.join('')).toSorted(), [long, 'v=spf1 -all'])
  assert.ok(
    dns.queries.some((query) => query.type === 'TXT' && query.transport === 'tcp'),
    'too long for UDP: asked again by TCP',
  )
  assert.deepEqual(await resolver.resolve4('www.example.test'), ['192.0.2.1'])
  assert.deepEqual(await resolver.resolve6('mx.example.test'), ['2001:db8::1'])
  assert.deepEqual(await resolver.reverse('192.0.2.1'), ['mx.example.test'])
  await assert.rejects(resolver.resolve4('nothing.test'), { code: 'ENOTFOUND' })
  await assert.rejects(resolver.resolve4('example.test'), { code: 'ENODATA' })
  await assert.rejects(resolver.resolve4('broken.test'), { code: 'ESERVFAIL' })
  dns.set({ 'nothing.test': { A: ['192.0.2.9'] } })
  assert.deepEqual(await resolver.resolve4('nothing.test'), ['192.0.2.9'])
  assert.equal(dns.count('nothing.test', 'A'), 2)
})
