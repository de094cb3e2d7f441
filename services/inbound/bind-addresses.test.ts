import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkInterfaceInfo } from 'node:os'

import { bindAddresses } from './bind-addresses.ts'

const interfaces = {
  lo: [ip('127.0.0.1', true), ip('::1', true)],
  eth0: [ip('192.0.2.10'), ip('2001:db8::10'), ip('fe80::1', false, 2)],
  mailnet: [ip('10.77.0.5')],
}

function ip(address: string, internal = false, scopeid = 0): NetworkInterfaceInfo {
  const common = { address, internal, netmask: '', mac: '', cidr: null }
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid } : { ...common, family: 'IPv4' }
}

const names: Readonly<Record<string, readonly string[]>> = {
  'mx.test': ['192.0.2.10'],
  localhost: ['127.0.0.1', '2001:db8::dead'],
  'elsewhere.test': ['198.51.100.1'],
}

test('listen on means the addresses of an interface, a name or a group', async () => {
  const cases: readonly (readonly [on: string, addresses: readonly string[], family?: 4 | 6])[] = [
    ['192.0.2.99', ['192.0.2.99']],
    ['::1', ['::1']],
    ['lo', ['127.0.0.1', '::1']],
    ['lo0', ['127.0.0.1'], 4],
    ['eth0', ['192.0.2.10', '2001:db8::10', 'fe80::1%eth0']],
    ['eth0', ['2001:db8::10', 'fe80::1%eth0'], 6],
    ['egress', ['192.0.2.10', '10.77.0.5'], 4],
    ['all', ['192.0.2.10', '10.77.0.5'], 4],
    ['em7', ['192.0.2.10', '10.77.0.5'], 4],
    ['mx.test', ['192.0.2.10']],
    ['localhost', ['127.0.0.1']],
    ['elsewhere.test', ['198.51.100.1']],
    ['inside', ['10.77.0.5']],
  ]
  for (const [on, expected, family] of cases) {
    const options = {
      on,
      interfaces: new Map([['inside', '10.77.0.0/24']]),
      ...(family === undefined ? {} : { family }),
    }
    const found = await bindAddresses(options, interfaces, (name) => Promise.resolve(names[name] ?? []))
    assert.deepEqual(found, expected, on)
  }
})
