import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { Registry } from 'prom-client'

import { createMetrics } from '../../shared/metrics.ts'
import { expose } from '../../shared/metrics-files.ts'
import type { ProcessMetrics } from '../../shared/metrics-files.ts'
import { registerHostGauges } from './host-gauges.ts'
import { registerQueueGauges } from './queue-gauges.ts'

const deploy = new URL('../../deploy/', import.meta.url)

test('alerts and graphs ask for nothing that is not counted', async () => {
  const names = await namesTold()
  for (const file of ['prometheus/alerts.yml', 'grafana/dashboards/sluice.json']) {
    const asked = [...(await readFile(new URL(file, deploy), 'utf8')).matchAll(/\bsluice_\w+/g)].map(([name]) => name)
    assert.ok(asked.length > 5, file)
    for (const name of asked) assert.ok(names.has(name.replace(/_bucket$/, '')), `${file}: ${name}`)
  }
})

test('what is counted is what docs/operations.md tells, beside what every process of Node has', async () => {
  const text = await readFile(new URL('../docs/operations.md', deploy), 'utf8')
  const documented = new Set([...text.matchAll(/`(sluice_\w+)/g)].map(([, name]) => name))
  const own = [...(await namesTold())].filter((name) => !/^sluice_(?:nodejs|process)_/.test(name ?? ''))
  assert.deepEqual(documented, new Set(own))
})

/** All names in the text of /metrics. */
async function namesTold(): Promise<ReadonlySet<string | undefined>> {
  const metrics = createMetrics()
  const gauges = new Registry()
  registerQueueGauges(gauges, {
    names: [],
    counts: async () => new Map(),
    list: async () => [],
    heldByQueue: async () => new Map<string, number>(),
    jobsOf: async () => [],
    oldestAgeMs: async () => 0,
    backOff: { pauses: async () => new Map() },
  })
  registerHostGauges(gauges, {
    heartbeats: async () => [],
    spoolFreeBytes: async () => 0,
    redis: () => undefined,
    certificates: async () => [],
    now: () => 0,
  })
  const counted = (await metrics.registry.getMetricsAsJSON()) as ProcessMetrics['metrics']
  const told = expose([{ process: 'x', metrics: counted }]) + (await gauges.metrics())
  metrics.close()
  return new Set([...told.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
}
