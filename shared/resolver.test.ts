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
