import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { loadConfiguration } from '../../shared/config/load.ts'
import { startHeartbeats } from '../../shared/heartbeat.ts'
import { silentLog } from '../../shared/log.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { createMetrics } from '../../shared/metrics.ts'
import { redisMissing, startTestRedis } from '../../shared/queue/testing.ts'
import { openSystem } from '../../shared/system.ts'
import dashboard from './index.ts'
import type { Health } from './source.ts'

const skip = await redisMissing()

async function openBench(t: TestContext) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-dash-'))
  const smtpdConf = join(dataFolder, 'smtpd.conf')
  await writeFile(
    smtpdConf,
    [
      'listen on 127.0.0.1 port 2525',
      'action "scan" relay host "queue://filter"',
      `action "mailbox" maildir "${dataFolder}/mail/%{user.username}"`,
      'match tag Filtered from local for local action "mailbox"',
      'match from any for local action "scan"',
      '',
    ].join('\n'),
  )
  const { configuration: read } = await loadConfiguration({ smtpdConf, hostname: 'mx.example.org' })
  const configuration = {
    ...read,
    pipeline: { ...read.pipeline, dashboard: { host: '127.0.0.1', port: 0, readOnly: false } },
  }
  const redis = await startTestRedis()
  const system = await openSystem({
    configuration,
    dataFolder,
    redis: redis.endpoint,
    writer: 'test',
    log: silentLog(),
  })
  const { context } = system
  assert.ok(await context.queues.ready(30_000))
  const service = await dashboard.start(context)
  const base = service.listens?.[0]?.split(' ')[0] ?? ''
  t.after(async () => {
    await service.close()
    await system.close()
    await redis.close()
    await rm(dataFolder, { recursive: true })
  })
  return { base, context, redis, dataFolder }
}

test('the pages show a real queue, and still answer when Redis is killed', { skip }, async (t) => {
  const { base, context, redis, dataFolder } = await openBench(t)
  const id = newMessageId(Date.now())
  const to = parseMailbox('jane@localhost')
  if (to === undefined) throw new TypeError('address')
  const envelope = {
    id,
    reversePath: null,
    recipients: [{ mailbox: to }],
    tags: [],
    origin: { kind: 'smtp', address: '192.0.2.1' },
    receivedAt: Date.now(),
  } as const
  await context.pipeline.submit(envelope, Buffer.from('Subject: x\r\n\r\nx\r\n'))
  while ((await context.queues.jobsOf(id)).length === 0) await new Promise((resolve) => setImmediate(resolve))
  const beats = await startHeartbeats(
    dataFolder,
    [{ service: 'filter', listens: [], lastJobAt: () => Date.now() - 5_000, troubles: async () => [] }],
    () => Date.now(),
  )
  t.after(() => beats.stop())

  const overview = await (await fetch(base)).text()
  assert.match(overview, /1 message on the way/)
  assert.match(await (await fetch(`${base}/queues/filter`)).text(), new RegExp(`href="/messages/${id}"`))
  assert.match(await (await fetch(`${base}/messages/${id}`)).text(), /jane@localhost[^]*waiting/)
  assert.match(
    await (await fetch(`${base}/metrics`)).text(),
    /sluice_queue_messages\{queue="filter",state="waiting"\} 1/,
  )
  const healthy = await fetch(`${base}/health`)
  assert.equal(healthy.status, 200)
  const { checks } = (await healthy.json()) as Health
  assert.ok(checks.some((check) => check.name.startsWith('service filter') && (check.lastJobAgeMs ?? 0) >= 5_000))

  await redis.kill()
  const failing = await fetch(`${base}/health`)
  assert.equal(failing.status, 503)
  assert.deepEqual(
    ((await failing.json()) as Health).checks.filter((check) => !check.healthy).map((check) => check.name),
    ['redis'],
  )
  for (const path of ['/', '/queues', '/queues/filter', `/messages/${id}`]) {
    const page = await fetch(`${base}${path}`)
    assert.equal(page.status, 200, path)
    assert.match(await page.text(), /Redis is away/, path)
  }
  assert.match(await (await fetch(`${base}/metrics`)).text(), /sluice_redis_up 0/)
})

test('a port in use is named', { skip }, async (t) => {
  const { base, context } = await openBench(t)
  const { configuration } = context
  const taken = { host: '127.0.0.1', port: Number(new URL(base).port), readOnly: false }
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const again = {
    ...context,
    metrics,
    configuration: { ...configuration, pipeline: { ...configuration.pipeline, dashboard: taken } },
  }
  await assert.rejects(dashboard.start(again), new RegExp(`127\\.0\\.0\\.1:${taken.port}: the port is in use`))
})
