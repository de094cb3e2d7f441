import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { containerGateways } from './container-gateways.ts'

const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`
const zero = '0'.repeat(32)
const routes6 = `fd000000000000010000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0
${zero} 00 ${zero} 00 fd000000000000010000000000000001 00000400 00000001 00000000 00000003     eth0
${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo
`

function rootWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'root-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'proc/net'), { recursive: true })
  mkdirSync(join(root, 'run'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text)
  return root
}

test('the gateways of a container are those its way out leads over', (t) => {
  const net = { 'proc/net/route': routes, 'proc/net/ipv6_route': routes6 }
  const found = ['172.17.0.1', 'fd00:0:0:1::1']
  assert.deepEqual(containerGateways(rootWith(t, { ...net, '.dockerenv': '' })), found)
  assert.deepEqual(containerGateways(rootWith(t, { ...net, 'run/.containerenv': '' })), found)
  assert.deepEqual(containerGateways(rootWith(t, net)), [], 'a host has neighbours behind its gateway, not all clients')
  assert.deepEqual(containerGateways(rootWith(t, { '.dockerenv': '', 'proc/net/route': 'nonsense\n\n' })), [])
})
