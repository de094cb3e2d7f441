import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { Counter, Histogram, Registry } from 'prom-client'

import { expose, processName, readMetricsFiles, startMetricsFile } from './metrics-files.ts'

const folder = await mkdtemp(join(tmpdir(), 'metrics-'))
after(() => rm(folder, { recursive: true }))

function registryWith(count: number): Registry {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'mails_total', help: 'Mails', labelNames: ['what'], registers }).inc({ what: 'a "b"\\' }, count)
  new Histogram({ name: 'took_seconds', help: 'Time', buckets: [0.1, 1], registers }).observe(0.5)
  return registry
}

test('what another process counts is read while it lives, and each metric is told once, with all series', async () => {
  const file = await startMetricsFile(folder, 'filter', registryWith(3))
  const found = await eventually(() => readMetricsFiles(folder, Date.now()))
  const own = { process: 'dashboard.here.1', metrics: (await registryWith(1).getMetricsAsJSON()) as never }
  const text = expose([own, ...found])
  assert.deepEqual(
    text.split('\n').filter((line) => line.includes('mails_total')),
    [
      '# HELP mails_total Mails',
      '# TYPE mails_total counter',
      'mails_total{what="a \\"b\\"\\\\",process="dashboard.here.1"} 1',
      `mails_total{what="a \\"b\\"\\\\",process="${processName('filter')}"} 3`,
    ],
  )
  assert.match(text, /^took_seconds_bucket\{le="1",process="dashboard\.here\.1"\} 1$/m)
  assert.match(text, /^took_seconds_bucket\{le="\+Inf",process="dashboard\.here\.1"\} 1$/m)
  assert.match(text, /^took_seconds_sum\{process="filter\.[^"]+"\} 0\.5$/m)

  assert.deepEqual(await readMetricsFiles(folder, Date.now() + 60_000), [], 'a silent process is a dead one')
  await file.stop()
  assert.deepEqual(await readdir(join(folder, 'run', 'metrics')), [])
})

test('a folder that nobody has written to has no metrics', async () => {
  assert.deepEqual(await readMetricsFiles(join(folder, 'nothing'), Date.now()), [])
  assert.equal(expose([]), '\n')
})

async function eventually<T>(look: () => Promise<readonly T[]>): Promise<readonly T[]> {
  for (;;) {
    const found = await look()
    if (found.length > 0) return found
    await new Promise((resolve) => setImmediate(resolve))
  }
}
