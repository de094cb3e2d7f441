import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { NetworkInterfaceInfo } from 'node:os'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { openGatewayWatch } from './gateway-watch.ts'

const folder = mkdtempSync(join(tmpdir(), 'gateway-watch-'))
after(() => rmSync(folder, { recursive: true }))
const address = { address: '172.18.0.5', netmask: '', mac: '', internal: false, family: 'IPv4', cidr: '172.18.0.5/16' }
const interfaces = { eth0: [address as NetworkInterfaceInfo] }

async function watch(
  name: string,
  gateways: readonly string[] = ['172.18.0.1', 'fd00:0000:0000:0001:0000:0000:0000:0001'],
) {
  const told: string[] = []
  const log = {
    warn: (_fields: object, text: string) => void told.push(`warn ${text.slice(0, 24)}`),
    info: (_fields: object, text: string) => void told.push(`info ${text.slice(0, 24)}`),
  }
  const opened = await openGatewayWatch({ gateways, interfaces, dataFolder: join(folder, name), log })
  return {
    ...opened,
    told,
    notes: () => opened.notes.length,
    comes: (from: string, times = 1) => {
      for (let time = 0; time < times; time += 1) opened.look(from)
    },
  }
}

test('twenty clients from the gateway and none from elsewhere are told, once, and again at the next start', async () => {
  const first = await watch('lost')
  first.comes('172.18.0.9', 50)
  first.comes('::ffff:172.18.0.1', 10)
  first.comes('fd00:0:0:1::1', 9)
  assert.deepEqual([first.notes(), first.told], [0, []], 'containers beside ours say nothing of clients')
  first.comes('172.18.0.1', 5)
  assert.deepEqual([first.notes(), first.told], [1, ['warn clients seem to come fro']])
  await first.close()
  const next = await watch('lost')
  assert.deepEqual([next.notes(), next.told.length], [1, 1])
  next.comes('198.51.100.7')
  next.comes('172.18.0.1', 50)
  assert.deepEqual([next.notes(), next.told.slice(1)], [0, ['info clients have addresses o']])
  await next.close()
  const last = await watch('lost')
  assert.deepEqual([last.notes(), last.told], [0, []])
})

test('one client with an address of its own is enough, and elsewhere than in a container nothing is looked at', async () => {
  const own = await watch('own')
  own.comes('172.18.0.1', 19)
  own.comes('2001:db8::7')
  own.comes('172.18.0.1', 50)
  assert.deepEqual([own.notes(), own.told], [0, []])
  const host = await watch('host', [])
  host.comes('172.18.0.1', 50)
  assert.equal(host.notes(), 0)
  await Promise.all([own.close(), host.close()])
})
