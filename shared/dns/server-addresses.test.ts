import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startDns } from '../../test/support/dns.ts'
import { createResolver } from '../resolver.ts'
import { areAddresses, ServerAddresses } from './server-addresses.ts'

test('names of DNS servers become addresses, addresses stay, each with its port', async () => {
  const hosts: Readonly<Record<string, readonly string[]>> = { unbound: ['10.1.0.3', 'fd00::3'] }
  const servers = new ServerAddresses(['unbound:5353', '10.1.0.4', '[fd00::5]:54'], async (host) => hosts[host] ?? [])
  assert.deepEqual(await servers.current(), ['10.1.0.3:5353', '[fd00::3]:5353', '10.1.0.4:53', '[fd00::5]:54'])
  assert.ok(areAddresses(['10.1.0.4', '10.1.0.4:53', '[fd00::5]:54', 'fd00::5']))
  assert.ok(!areAddresses(['10.1.0.4', 'unbound']))
})

test('a name that is not known yet is asked for again, and many who wait ask once', async () => {
  let asked = 0
  const servers = new ServerAddresses(['unbound'], async () => {
    asked += 1
    if (asked === 1) throw new Error('not started yet')
    return ['10.1.0.3']
  })
  await assert.rejects(servers.current(), /no address of the DNS server unbound is known/)
  assert.deepEqual(await Promise.all([servers.current(), servers.current()]), [['10.1.0.3:53'], ['10.1.0.3:53']])
  assert.equal(asked, 2)
})

test('a resolver that is told by name answers; when nobody knows the name, no look-up says "absent"', async () => {
  const dns = await startDns({ 'example.test': { A: ['192.0.2.1'] } })
  const named = createResolver({ servers: [`localhost:${dns.port}`] })
  assert.deepEqual(await named.a('example.test'), { kind: 'found', records: ['192.0.2.1'] })
  assert.deepEqual(await named.a('nothing.test'), { kind: 'absent', name: true })
  named.useServers(['no-such-host.invalid'])
  assert.equal((await named.a('example.test')).kind, 'failed')
  named.close()
  await dns.stop()
})
