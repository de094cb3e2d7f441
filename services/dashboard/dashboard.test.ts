import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { DashboardSettings, PipelineSettings } from '../../shared/config/model.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { startHeartbeats } from '../../shared/heartbeat.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { createMetrics } from '../../shared/metrics.ts'
import { redisMissing } from '../../shared/queue/testing.ts'
import { openTestSystem, queued } from '../../shared/testing-system.ts'
import dashboard from './index.ts'
import type { ServiceContext } from '../../shared/service.ts'
import type { Health } from './source.ts'
import { tableOf, tokenIn } from './testing.ts'

const skip = await redisMissing()

async function openBench(
  t: TestContext,
  access: Partial<DashboardSettings> = {},
  more: Partial<PipelineSettings> = {},
) {
  const { redis, context, dataFolder, close } = await openTestSystem({
    change: (read) => ({
      ...read,
      pipeline: { ...read.pipeline, dashboard: { host: '127.0.0.1', port: 0, readOnly: false, ...access }, ...more },
    }),
  })
  const service = await dashboard.start(context)
  const base = service.listens?.[0]?.split(' ')[0] ?? ''
  t.after(async () => {
    await service.close()
    await close()
  })
  return { base, context, redis, dataFolder, listens: service.listens ?? [] }
}

/** Resolves when the message has its job in the queue `filter`. */
async function accept(context: ServiceContext): Promise<MessageId> {
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
  await queued(context, id)
  return id
}

test('the pages show a real queue, and still answer when Redis is killed', { skip }, async (t) => {
  const { base, context, redis, dataFolder } = await openBench(t)
  const id = await accept(context)
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
  assert.equal((await fetch(`${base}/ready`)).status, 200)
  const healthy = await fetch(`${base}/health`)
  assert.equal(healthy.status, 200)
  const { checks } = (await healthy.json()) as Health
  assert.ok(checks.some((check) => check.name.startsWith('service filter') && (check.lastJobAgeMs ?? 0) >= 5_000))

  const explained = await (await fetch(`${base}/rules?rcpt=jane@localhost&client=192.0.2.9`)).text()
  assert.match(explained, /class="explanation"[^]*RCPT: /)

  await redis.kill()
  const failing = await fetch(`${base}/health`)
  assert.equal(failing.status, 503)
  assert.deepEqual(
    ((await failing.json()) as Health).checks.filter((check) => !check.healthy).map((check) => check.name),
    ['redis'],
  )
  const notReady = await fetch(`${base}/ready`)
  assert.equal(notReady.status, 503)
  assert.match(await notReady.text(), /"redis","healthy":false/)
  assert.equal((await fetch(`${base}/alive`)).status, 200, 'who would start it anew would not help')
  for (const path of ['/', '/queues', '/queues/filter', '/held', '/destinations', `/messages/${id}`]) {
    const page = await fetch(`${base}${path}`)
    assert.equal(page.status, 200, path)
    assert.match(await page.text(), /Redis is away/, path)
  }
  assert.match(await (await fetch(`${base}/metrics`)).text(), /sluice_redis_up 0/)
})

test('metrics with a port of their own are told there and nowhere else, to everybody', { skip }, async (t) => {
  const operators = tableOf({ olga: shaCrypt('engine', '$6$rounds=1000$abcdefgh') })
  const { base, listens } = await openBench(t, { operators }, { metrics: { host: '127.0.0.1', port: 0 } })
  const [, place = ''] = listens
  assert.match(place, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  assert.match(await (await fetch(place)).text(), /^sluice_redis_up 1$/m)
  assert.deepEqual(Object.keys((await (await fetch(new URL('/health', place))).json()) as object), ['status'])
  assert.equal((await fetch(new URL('/queues', place))).status, 404)
  const { cookie } = await signIn(base)
  assert.equal((await fetch(`${base}/metrics`, { headers: { cookie } })).status, 404)
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

test('who signed in acts on real queues and messages, in his name', { skip }, async (t) => {
  const operators = tableOf({ olga: shaCrypt('engine', '$6$rounds=1000$abcdefgh') })
  const { base, context } = await openBench(t, { operators })
  const { queues } = context
  const id = await accept(context)
  const { cookie, token } = await signIn(base)
  const post = async (path: string): Promise<readonly [number, string | null]> => {
    const body = new URLSearchParams({ token })
    const reply = await fetch(`${base}${path}`, { method: 'POST', body, headers: { cookie }, redirect: 'manual' })
    await reply.text()
    return [reply.status, reply.headers.get('location')]
  }
  const read = async (path: string): Promise<string> => (await fetch(`${base}${path}`, { headers: { cookie } })).text()

  assert.deepEqual(await post('/queues/filter/pause'), [303, '/queues/filter?done=pause'])
  assert.equal((await queues.counts()).get('filter')?.paused, true)
  assert.deepEqual(await post('/queues/filter/resume'), [303, '/queues/filter?done=resume'])
  assert.equal((await queues.counts()).get('filter')?.paused, false)
  assert.equal((await post('/queues/nowhere/pause'))[0], 409)

  assert.deepEqual(await post(`/messages/${id}/hold`), [303, `/messages/${id}?done=hold`])
  assert.match(await read(`/messages/${id}`), /held by olga \(dashboard\)/)
  assert.deepEqual(await post(`/messages/${id}/hold`), [409, null])
  assert.deepEqual(await post(`/messages/${id}/release`), [303, `/messages/${id}?done=release`])
  assert.deepEqual(await post(`/messages/${id}/remove`), [303, `/messages/${id}?done=remove`])
  assert.equal((await queues.jobsOf(id)).length, 0)
  assert.match(await read(`/messages/${id}`), /removed by olga \(dashboard\)/)
})

async function signIn(base: string): Promise<{ readonly cookie: string; readonly token: string }> {
  const form = await fetch(`${base}/sign-in`)
  const body = new URLSearchParams({ token: tokenIn(await form.text()), name: 'olga', password: 'engine' })
  const visit = cookieOf(form)
  const done = await fetch(`${base}/sign-in`, { method: 'POST', body, headers: { cookie: visit }, redirect: 'manual' })
  const cookie = cookieOf(done)
  return { cookie, token: tokenIn(await (await fetch(base, { headers: { cookie } })).text()) }
}

function cookieOf(response: Response): string {
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
}
