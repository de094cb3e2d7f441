import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { RedisReport } from '../../shared/queue/check-redis.ts'
import type { Destinations, DestinationView } from '../../shared/report/destinations.ts'
import { sampleAt, sampleBook, sampleJob, sampleSource } from './sample-source.ts'
import type { SystemView } from './system-desk.ts'
import { openTestApp } from './testing.ts'
import { createWatchDesk } from './watch-desk.ts'
import { warningsOf } from './watch.ts'

const gigabyte = 1024 ** 3
const hour = 3_600_000
const redis: RedisReport = {
  server: 'redis',
  version: '7.2.1',
  runId: 'a',
  usedBytes: 1,
  maxBytes: 4,
  tooFull: false,
  refusals: [],
  warnings: [],
}
const calm: SystemView = {
  certificates: [{ pki: 'mx', file: '/mx.pem', listeners: [], found: certificate(90) }],
  redis,
  spool: { name: '/var/sluice', freeBytes: 50 * gigabyte, totalBytes: 100 * gigabyte },
  store: { what: 'SQLite' },
  journal: { path: '/var/sluice', files: 0, bytes: 0 },
}

function certificate(days: number) {
  const untilAt = sampleAt + days * 24 * hour
  return { names: ['mx.example.org'], issuer: 'R11', fromAt: sampleAt - 24 * hour, untilAt }
}

function titles(system: Partial<SystemView>): readonly string[] {
  return warningsOf({ system: { ...calm, ...system } }, sampleAt).map(({ tone, title }) => `${tone}: ${title}`)
}

function destination(fields: Partial<DestinationView>): Destinations {
  const none = { name: 'example.net', waiting: 0, active: 0, delayed: 0, attempts: 0 }
  return { destinations: [{ ...none, ...fields }], cut: false }
}

test('a calm system is warned of nothing', () => {
  assert.deepEqual(titles({}), [])
  assert.deepEqual(warningsOf({}, sampleAt), [])
})

test('a disk that fills is told before mail is refused, and when it is', () => {
  const left = (freeBytes: number, more: object = {}) =>
    titles({ spool: { name: '/var/sluice', freeBytes, totalBytes: 100 * gigabyte, ...more } })
  assert.deepEqual(left(11 * gigabyte), [])
  assert.deepEqual(left(9 * gigabyte), ['waiting: The spool is nearly full.'])
  assert.deepEqual(left(0), ['bad: The spool is full.'])
  assert.deepEqual(left(9 * gigabyte, { quotaBytes: 20 * gigabyte }), [])
  assert.deepEqual(left(gigabyte, { quotaBytes: 20 * gigabyte }), ['waiting: The spool is nearly full.'])
  assert.deepEqual(left(30 * gigabyte, { totalBytes: 1_000 * gigabyte }), [], 'a large disk')
})

test('a certificate is told that ends soon, is over, or cannot be read', () => {
  const one = { pki: 'mx', file: '/mx.pem', listeners: [] }
  const of = (days: number) => titles({ certificates: [{ ...one, found: certificate(days) }] })
  assert.deepEqual(of(15), [])
  assert.deepEqual(of(13), ['waiting: The certificate mx ends'])
  assert.deepEqual(of(-1), ['bad: The certificate mx is over'])
  assert.deepEqual(titles({ certificates: [{ ...one, trouble: 'ENOENT' }] }), [
    'bad: The certificate mx cannot be read.',
  ])
})

test('a Redis that is full or not fit is told, the gravest first', () => {
  const unfit = { ...redis, tooFull: true, warnings: ['no appendonly'], refusals: ['maxmemory-policy allkeys-lru'] }
  assert.deepEqual(titles({ redis: unfit }), [
    'bad: Redis is nearly full.',
    'bad: Redis is not fit for mail.',
    'waiting: Redis could be safer.',
  ])
})

test('a destination that many wait for, or one for long, is told with what it said; a little greylisting is not', () => {
  const waits = { delayed: 2, oldestAt: sampleAt - 60_000, replyClass: 'greylisted', lastReply: '451 later' } as const
  assert.deepEqual(warningsOf({ destinations: destination(waits) }, sampleAt), [])
  const many = warningsOf({ destinations: destination({ ...waits, delayed: 120, aloneForMs: 90_000 }) }, sampleAt)
  assert.deepEqual(many, [
    {
      tone: 'waiting',
      title: 'example.net puts our mail off.',
      text: '120 messages wait, the oldest for 1 min, left alone for 1 min 30 s. It said: 451 later',
      page: '/destinations/example.net',
      leads: 'How it goes there, and what can be done',
    },
  ])
  const long = destination({ ...waits, delayed: 1, oldestAt: sampleAt - 2 * hour, replyClass: 'connection' })
  assert.equal(warningsOf({ destinations: long }, sampleAt)[0]?.title, 'example.net cannot be reached.')
})

test('a destination that refuses us for what we are is told; an unknown user there is not', () => {
  const history = sampleBook.get('example.net')
  assert.ok(history)
  const refusing = (replyClass: 'spam' | 'unknown-user', at: number) => {
    const refusals = [{ replyClass, times: 7, reply: '550 5.7.1 listed', at }]
    return warningsOf({ destinations: destination({ history: { ...history, refusals } }) }, sampleAt)
  }
  assert.equal(refusing('spam', sampleAt - 60_000)[0]?.title, 'example.net takes our mail for spam.')
  assert.deepEqual(refusing('unknown-user', sampleAt - 60_000), [])
  assert.deepEqual(refusing('spam', sampleAt - 2 * hour), [], 'it is over')
})

test('many destinations in trouble do not fill the page', () => {
  const [one] = destination({ delayed: 20, oldestAt: sampleAt }).destinations
  assert.ok(one)
  const destinations = Array.from({ length: 9 }, (_, place) => ({ ...one, name: `d${place}.test` }))
  const told = warningsOf({ destinations: { destinations, cut: false } }, sampleAt)
  assert.deepEqual([told.length, told.at(-1)?.title], [4, '6 destinations more'])
})

test('the overview has warnings with a way to the page that helps, as text, and does without what does not answer', async (t) => {
  const name = '<b>evil</b>.test'
  const jobs = Array.from({ length: 11 }, () =>
    sampleJob({ destination: name, lastReply: '451 4.7.1 <script>x</script>' }),
  )
  const body = await overviewOf(t, sampleSource({ jobs }))
  assert.match(body, /&lt;b&gt;evil[^]*11 messages wait[^]*&lt;script&gt;[^]*href="\/destinations\/%3Cb%3Eevil/)
  const broken = { ...sampleSource({}), destinations: async () => Promise.reject(new Error('away')) }
  assert.match(await overviewOf(t, broken), /<h1>/)
})

test('a spool that is full is the first that is said', async (t) => {
  const system = { ...calm, spool: { ...calm.spool, freeBytes: 0 } }
  const people = async () => ({})
  const { app } = await openTestApp(t, { source: sampleSource({}), system: { look: async () => system, people } })
  const { body } = await app.inject({ url: '/', headers: { host: 'localhost' } })
  assert.match(body, /<h1>The spool is full<\/h1>[^]*answered 452[^]*href="\/system#storage"/)
})

test('warnings are looked for every twenty seconds at most, however often the page is', async () => {
  let [looks, nowAt] = [0, sampleAt]
  const source = sampleSource({})
  const desk = createWatchDesk({
    system: { look: async () => ((looks += 1), calm) },
    source,
    clock: { now: () => nowAt },
  })
  for (const step of [0, 19_000, 2_000]) {
    nowAt += step
    await desk.warnings()
  }
  assert.equal(looks, 2)
})

async function overviewOf(t: TestContext, source: ReturnType<typeof sampleSource>): Promise<string> {
  const { app } = await openTestApp(t, { source })
  const reply = await app.inject({ url: '/', headers: { host: 'localhost' } })
  assert.equal(reply.statusCode, 200)
  return reply.body
}
