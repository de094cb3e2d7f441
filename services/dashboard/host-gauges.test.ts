import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Registry } from 'prom-client'

import type { CertificateView } from '../../shared/certificate-view.ts'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import type { RedisReport } from '../../shared/queue/check-redis.ts'
import { registerHostGauges } from './host-gauges.ts'
import type { HostGaugesParts } from './host-gauges.ts'

const nowAt = 100_000_000
const done = { slot: 0, counts: [], times: [] }

function beat(service: string, pid: number, more: Partial<Heartbeat> = {}): Heartbeat {
  const versions = { sluice: '1.2.3', node: 'v20' }
  return { service, host: 'here', pid, startedAt: pid, at: nowAt, listens: [], troubles: [], versions, ...more }
}

async function told(parts: Partial<HostGaugesParts>): Promise<readonly string[]> {
  const registry = new Registry()
  registerHostGauges(registry, {
    heartbeats: async () => [],
    spoolFreeBytes: async () => 5_000,
    redis: () => undefined,
    certificates: async () => [],
    now: () => nowAt,
    ...parts,
  })
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

test('who lives, who fell silent, what is connected and at work: added up over all processes', async () => {
  const work = { queue: 'filter', handlers: 4, busy: 1, done }
  const lines = await told({
    heartbeats: async () => [
      beat('filter', 1, { work }),
      beat('filter', 2, { work, troubles: ['clamd does not answer'], versions: { sluice: '1.2.4', node: 'v20' } }),
      beat('inbound', 3, { connections: { 'smtp://127.0.0.1:25 (STARTTLS)': 2, 'smtps://[::1]:465': 1 } }),
      beat('inbound', 4, { connections: { 'smtp://127.0.0.1:25 (STARTTLS)': 5 } }),
      beat('relay', 5, { at: nowAt - 60_000, connections: { 'smtp://127.0.0.1:25': 9 }, troubles: ['once'] }),
    ],
  })
  for (const line of [
    'sluice_services{service="filter",version="1.2.3"} 1',
    'sluice_services{service="filter",version="1.2.4"} 1',
    'sluice_services{service="inbound",version="1.2.3"} 2',
    'sluice_services_silent{service="filter"} 0',
    'sluice_services_silent{service="relay"} 1',
    'sluice_troubles{service="filter"} 1',
    'sluice_troubles{service="inbound"} 0',
    'sluice_clients_connected{listener="127.0.0.1:25"} 7',
    'sluice_clients_connected{listener="[::1]:465"} 1',
    'sluice_workers{queue="filter"} 8',
    'sluice_workers_busy{queue="filter"} 2',
  ])
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`)
  assert.ok(!lines.some((line) => /^sluice_(services|troubles)\{service="relay"/.test(line)))
})

test('a configuration that cannot be put in force is told, until it can', async () => {
  const configuration = { revision: 'abc' }
  const faulty = { ...configuration, fault: 'smtpd.conf:3: unknown word' }
  const before = await told({
    heartbeats: async () => [beat('filter', 1, { configuration: faulty }), beat('relay', 2, { configuration })],
  })
  assert.ok(before.includes('sluice_configuration_faulty 1'))
  const after = await told({ heartbeats: async () => [beat('filter', 1, { configuration })] })
  assert.ok(after.includes('sluice_configuration_faulty 0'))
})

test('spool, Redis and certificates: what cannot be told is absent, not 0', async () => {
  const found = { names: ['mx.test'], issuer: 'itself', fromAt: 1, untilAt: 1_800_000_000_000 }
  const certificates: readonly CertificateView[] = [
    { pki: 'mx.test', file: 'a.pem', listeners: [], found },
    { pki: 'other.test', file: 'b.pem', listeners: [], trouble: 'no such file' },
  ]
  const redis = { usedBytes: 10, maxBytes: 20 } as RedisReport
  assert.deepEqual(await told({ redis: () => redis, certificates: async () => certificates }), [
    'sluice_spool_up 1',
    'sluice_spool_free_bytes 5000',
    'sluice_redis_memory_used_bytes 10',
    'sluice_redis_memory_limit_bytes 20',
    'sluice_certificate_expires_timestamp_seconds{pki="mx.test"} 1800000000',
  ])
  const away = await told({
    spoolFreeBytes: async () => {
      throw new Error('read-only file system')
    },
  })
  assert.deepEqual(away, ['sluice_spool_up 0'])
  const unlimited = await told({ redis: () => ({ ...redis, maxBytes: 0 }) })
  assert.ok(!unlimited.some((line) => line.startsWith('sluice_redis_memory_limit_bytes')), unlimited.join('\n'))
})
