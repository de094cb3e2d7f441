import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'

import type { Mailbox } from '../../shared/mail/address.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { parseQuery } from '../../shared/store/query.ts'
import { registerQueueGauges } from './queue-gauges.ts'
import {
  sampleAt,
  sampleId,
  sampleJob,
  sampleMessage,
  sampleOverview,
  sampleQueue,
  sampleBook,
  sampleSource,
} from './sample-source.ts'
import { isHostAllowed } from './security.ts'
import type { Source } from './source.ts'
import { failingOperations, openTestApp } from './testing.ts'

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;\u202e\u0000`

async function appWith(t: TestContext, source: Source, host = '127.0.0.1'): Promise<FastifyInstance> {
  return (await openTestApp(t, { source, host })).app
}

async function read(app: FastifyInstance, url: string, host = 'localhost:8080') {
  return app.inject({ method: 'GET', url, headers: { host } })
}

test('the overview shows each queue with its numbers and links to it', async (t) => {
  const queues = [
    sampleQueue('filter', { waiting: 128, active: 20, oldestAgeMs: 83_000 }),
    sampleQueue('sign'),
    sampleQueue('deliver', { paused: true }),
    sampleQueue('relay', { delayed: 7, held: 2 }),
    sampleQueue('greylist', { waiting: 3 }),
  ]
  const app = await appWith(t, sampleSource({ overview: sampleOverview({ queues: { kind: 'seen', value: queues } }) }))
  const page = await read(app, '/')
  assert.equal(page.statusCode, 200)
  for (const text of ['128', '1 min 23 s', 'paused', '1 queue is behind', 'Further stages', 'mx.example.org'])
    assert.ok(page.body.includes(text), text)
  for (const queue of queues) assert.ok(page.body.includes(`href="/queues/${queue.name}"`))
})

test('while Redis is away every page still answers and says so', async (t) => {
  const away = { kind: 'away', reason: 'no answer of Redis within 1.5 s' } as const
  const overview = sampleOverview({ queues: away, attention: away })
  const app = await appWith(t, sampleSource({ overview, message: sampleMessage({ jobs: away }), healthy: false }))
  for (const url of ['/', '/queues', '/queues/relay', `/messages/${sampleId}`]) {
    const page = await read(app, url)
    assert.equal(page.statusCode, 200, url)
    assert.match(page.body, /Redis is away/, url)
  }
  assert.equal((await read(app, '/health')).statusCode, 503)
  assert.equal((await read(app, '/ready')).statusCode, 503)
  assert.equal((await read(app, '/alive')).statusCode, 200)
  assert.equal((await read(app, '/api/v1/queues')).statusCode, 503)
  assert.equal((await read(app, '/api/v1/queues/relay')).statusCode, 503)
})

test('while Redis is away a destination still tells its day, and nothing is said twice', async (t) => {
  const operations = failingOperations(new QueueUnavailableError('Redis is away'))
  const { app } = await openTestApp(t, { source: sampleSource({ book: sampleBook }), operations })
  const page = await read(app, '/destinations/example.net')
  assert.equal(page.statusCode, 503)
  assert.match(page.body, /Redis is away\.<\/strong> What waits is not known[^]*copies by hour: 52 sent/)
  assert.doesNotMatch(page.body, /Do to all its mail/)
  const away = { kind: 'away', reason: 'Redis is away' } as const
  const { body } = await read(await appWith(t, sampleSource({ overview: sampleOverview({ queues: away }) })), '/')
  assert.match(body, /<strong>Redis is away\.<\/strong> Mail is still accepted/)
})

test('hostile text of a message stays text on every page', async (t) => {
  const job = sampleJob({
    queue: 'relay',
    from: `"${hostile}"@example.org` as Mailbox,
    to: [hostile as Mailbox],
    lastReply: hostile,
    reason: hostile,
  })
  const overview = sampleOverview({
    attention: { kind: 'seen', value: [job] },
    hostname: hostile,
    services: [
      {
        name: hostile,
        host: hostile,
        pid: 1,
        startedAt: 0,
        beatAt: 0,
        silent: true,
        listens: [hostile],
        troubles: [hostile],
        configuration: { revision: hostile, fault: hostile },
      },
    ],
  })
  const message = sampleMessage({
    tags: [hostile],
    edits: [hostile],
    origin: [{ name: hostile, value: hostile }],
    recipients: [{ mailbox: hostile, original: hostile, state: 'failed', detail: hostile }],
    jobs: { kind: 'seen', value: [job] },
    story: [{ at: sampleAt, event: 'delivered', text: hostile, tone: 'good' }],
  })
  const copy = {
    mailbox: hostile,
    state: 'failed',
    queue: hostile,
    rules: [hostile],
    remote: hostile,
    at: sampleAt,
  } as const
  const shown = { id: sampleId, at: sampleAt, kind: 'received', from: hostile, tags: [hostile], copyCount: 2 } as const
  const found = { messages: [{ ...shown, copies: [copy] }] }
  const app = await appWith(t, sampleSource({ overview, jobs: [job], message, found }))
  const urls = ['/', '/queues/relay', `/messages/${sampleId}`, `/messages?q=${encodeURIComponent(hostile)}`]
  for (const url of [...urls, `/messages/${encodeURIComponent(hostile.slice(0, 40))}`]) {
    const page = await read(app, url)
    assert.doesNotMatch(page.body, /<script>|<img|onerror=alert\(1\)>|[\u0000\u202e]/, url)
  }
})

test('every response forbids what is not ours, and pages have nothing inline', async (t) => {
  const app = await appWith(t, sampleSource({ message: sampleMessage() }))
  const urls = [
    '/',
    '/queues',
    '/queues/relay',
    `/messages/${sampleId}`,
    '/nowhere',
    '/health',
    '/metrics',
    '/assets/live.js',
  ]
  for (const url of urls) {
    const { headers, body } = await read(app, url)
    assert.match(
      String(headers['content-security-policy']),
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
      url,
    )
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.doesNotMatch(body, /\sstyle="|<style|<script>|\son[a-z]+="|javascript:/, url)
    assert.doesNotMatch(body, /(?:src|href)="(?:https?:)?\/\//, url)
  }
})

test('on a loopback address only local names are answered', async (t) => {
  const app = await appWith(t, sampleSource({}))
  const table: readonly (readonly [string, number])[] = [
    ['localhost:8080', 200],
    ['127.0.0.1', 200],
    ['[::1]:8080', 200],
    ['sluice.localhost', 200],
    ['LOCALHOST', 200],
    ['evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['localhost.evil.example:8080', 421],
    ['192.0.2.1', 421],
  ]
  for (const [host, code] of table) {
    for (const url of ['/', '/api/v1/queues', '/health', '/nowhere'])
      assert.ok(((await read(app, url, host)).statusCode === 421) === (code === 421), `${host} ${url}`)
  }
  assert.equal(isHostAllowed(undefined, '::1'), false)
  assert.equal(isHostAllowed('', 'localhost'), false)
  const open = await appWith(t, sampleSource({}), '0.0.0.0')
  assert.equal((await read(open, '/', 'mail.example.org')).statusCode, 200)
})

test('a page and an answer of the API are asked for by GET and HEAD only', async (t) => {
  const app = await appWith(t, sampleSource({ message: sampleMessage() }))
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'] as const) {
    for (const url of ['/', '/queues/relay', `/messages/${sampleId}`, '/api/v1/queues']) {
      const { statusCode } = await app.inject({ method, url, headers: { host: 'localhost' } })
      assert.equal(statusCode, 404, `${method} ${url}`)
    }
  }
})

test('a message is found by its id, whatever its case, and a wrong path gets a page that helps', async (t) => {
  const app = await appWith(t, sampleSource({ message: sampleMessage() }))
  const found = await read(app, `/messages?q=%20${sampleId.toUpperCase()}%20`)
  assert.equal(found.statusCode, 303)
  assert.equal(found.headers['location'], `/messages/${sampleId}`)
  for (const url of ['/messages/abc', '/messages/0mi8v2c4bm99999999', '/queues/none']) {
    const page = await read(app, url)
    assert.equal(page.statusCode, 404, url)
    assert.match(String(page.headers['content-type']), /^text\/html/, url)
  }
})

test('messages that were found are listed, newest first, with a link to older ones', async (t) => {
  const copy = { mailbox: 'joe@example.net', state: 'failed', rules: [], remote: 'mx: 552 Full', at: sampleAt } as const
  const shown = { id: sampleId, at: sampleAt, kind: 'received', from: null, tags: [], copyCount: 3 } as const
  const found = { messages: [{ ...shown, copies: [copy] }], next: '4711' }
  const app = await appWith(t, sampleSource({ found }))
  const { body } = await read(app, '/messages?q=status%3Afailed+%22x%22')
  assert.match(body, /value="status:failed &quot;x&quot;"/)
  assert.match(body, new RegExp(`href="/messages/${sampleId}"`))
  assert.match(body, /and 2 more/)
  assert.match(body, /mx: 552 Full/)
  assert.match(body, /href="\/messages\?q=status%3Afailed\+%22x%22&amp;before=4711" rel="next"/)
})

test('a search that cannot be understood is told with what to write instead', async (t) => {
  const app = await appWith(t, sampleSource({}))
  const page = await read(app, '/messages?q=form%3Ajane')
  assert.equal(page.statusCode, 400)
  assert.match(page.body, /&#39;form:&#39; is not known: use id|'form:' is not known: use id/)
  assert.match(page.body, /value="form:jane"/)
  assert.equal((await read(app, '/messages')).statusCode, 200)
})

test('a message store that does not answer is a notice, not an error', async (t) => {
  const away = { at: sampleAt, found: { kind: 'away', reason: 'there is no message store yet' } } as const
  const app = await appWith(t, { ...sampleSource({}), find: async () => away })
  const page = await read(app, '/messages')
  assert.equal(page.statusCode, 200)
  assert.match(page.body, /there is no message store yet/)
})

test('a page of jobs links to the next and the previous one', async (t) => {
  const jobs = Array.from({ length: 100 }, () => sampleJob())
  const app = await appWith(t, sampleSource({ jobs }))
  const page = (await read(app, '/queues/relay?state=delayed&start=100')).body
  assert.match(page, /rel="prev" href="\/queues\/relay\?state=delayed&amp;start=0"/)
  assert.match(page, /rel="next" href="\/queues\/relay\?state=delayed&amp;start=200"/)
})

test('an error of the source is a page without its details', async (t) => {
  const broken: Source = { ...sampleSource({}), overview: () => Promise.reject(new Error('secret path')) }
  const app = await appWith(t, broken)
  const page = await read(app, '/')
  assert.equal(page.statusCode, 500)
  assert.doesNotMatch(page.body, /secret path/)
  assert.doesNotMatch((await read(app, '/api/v1/queues')).body, /secret path/)
})

test('live pages are told to refresh, and closing ends them', async (t) => {
  const app = await appWith(t, sampleSource({}))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const request = get({ host: '127.0.0.1', port, path: '/live' })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(response.headers['content-type'], 'text/event-stream')
  let text = ''
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  while (!text.includes('event: tick')) await once(response, 'data')
  const ended = once(response, 'end')
  await app.close()
  await ended
})

test('the gauges of a scrape are of one look, and absent while Redis is away', async () => {
  let away = false
  const registry = new Registry()
  const limit = { rate: { count: 100, periodMs: 10_000 }, concurrency: 4, by: 'jane', at: 0 }
  const refuse = <T>(value: T): Promise<T> => (away ? Promise.reject(new Error('away')) : Promise.resolve(value))
  registerQueueGauges(registry, {
    names: ['filter', 'held'],
    counts: () =>
      refuse(
        new Map([
          ['filter', { waiting: 5, active: 1, delayed: 0, paused: true, limit }],
          ['held', { waiting: 70_000, active: 0, delayed: 0, paused: false }],
        ]),
      ),
    list: () => refuse([]),
    heldByQueue: () => refuse(new Map<string, number>()),
    jobsOf: () => refuse([]),
    backOff: { pauses: () => refuse(new Map([['far.test', 60_000]])) },
    oldestAgeMs: () => refuse(1500),
  })
  const first = await registry.metrics()
  for (const line of [
    'sluice_queue_messages{queue="filter",state="waiting"} 5',
    'sluice_queue_oldest_seconds{queue="filter"} 1.5',
    'sluice_queue_paused{queue="filter"} 1',
    'sluice_queue_limit_per_second{queue="filter"} 10',
    'sluice_queue_limit_concurrency{queue="filter"} 4',
    'sluice_destinations_suspended 1',
    'sluice_held_messages 70000',
    'sluice_redis_up 1',
  ])
    assert.ok(first.includes(line), line)
  away = true
  const second = await registry.metrics()
  assert.doesNotMatch(second, /queue="filter"|^sluice_(destinations_suspended|held_messages) \d/m)
  assert.match(second, /sluice_redis_up 0/)
})

test('a configuration that could not be put into force stands on the first page, once', async (t) => {
  const fault = 'smtpd.conf:3:1: error: there is no table "x"'
  const service = { host: 'h', pid: 1, startedAt: 0, beatAt: sampleAt, silent: false, listens: [], troubles: [] }
  const configuration = { revision: '0123456789ab', fault }
  const overview = sampleOverview({
    services: ['filter', 'relay'].map((name) => ({ ...service, name, configuration })),
  })
  const { body } = await read(await appWith(t, sampleSource({ overview })), '/')
  assert.match(body, /<h1>The configuration on disk is not in force/)
  assert.equal(body.split('smtpd.conf:3:1: error:').length, 2)
  assert.match(body, /0123456789ab/)
})

test('destinations in trouble stand first, with what they said', async (t) => {
  const jobs = [
    sampleJob({ destination: 'fast.example', state: 'active' }),
    sampleJob({ destination: 'slow.example', lastReply: `421 ${hostile}`, lane: 'mx.shared.example' }),
  ]
  const page = await read(await appWith(t, sampleSource({ jobs })), '/destinations')
  assert.match(page.body, /slow\.example[^]*lane mx\.shared\.example[^]*421 &lt;script[^]*fast\.example/)
  assert.match((await read(await appWith(t, sampleSource({})), '/destinations')).body, /No mail is on its way out/)
})

test('a destination shows how it took mail for a day, by the hour, what it said, and how the way is secured', async (t) => {
  const app = await appWith(t, sampleSource({ book: sampleBook, jobs: [sampleJob({ destination: 'example.net' })] }))
  const list = (await read(app, '/destinations')).body
  assert.match(list, /example\.net[^]*Sent, 24 h[^]*>52<[^]*>3<[^]*DANE[^]*&lt;i&gt;quiet&lt;\/i&gt;/)
  const one = (await read(app, '/destinations/example.net')).body
  assert.match(one, /<h1>Destination example\.net<\/h1>/)
  assert.match(one, /0 waiting, 0 at work, 1 delayed; the oldest came 1 h 2 min ago[^]*in 6 min 40 s<\/time>, try 3/)
  assert.match(
    one,
    /At most<\/dt><dd>5 at a time, 100 messages in 1 min<[^]*href="\/messages\?q=domain%3Aexample\.net"/,
  )
  assert.match(one, /aria-label="copies by hour: 52 sent, 3 put off, 3 refused, at most 42 an hour"/)
  assert.match(one, /unknown-user[^]*550 5\.1\.1 &lt;script&gt;[^]*mx\.example\.net\[192\.0\.2\.1\]:25/)
  assert.match(one, /TLSv1\.3 TLS_AES_256_GCM_SHA384, held against the TLSA records/)
  assert.match((await read(app, '/destinations/never.example')).body, /No attempt was made in the last 24 hours/)
})

test('each arrow tells what goes along it, and a queue that is behind is told with what helps', async (t) => {
  const flow = {
    service: 'filter',
    processes: 1,
    handlers: 4,
    busy: 4,
    inPerSecond: 3.24,
    outPerSecond: 0.5,
    p95Ms: 1_500,
    incoming: [0, 4, 2],
  }
  const filter = sampleQueue('filter', { waiting: 90, active: 4, oldestAgeMs: 125_000 })
  const overview = sampleOverview({
    queues: { kind: 'seen', value: [filter, sampleQueue('deliver')] },
    flows: new Map([['filter', flow]]),
    targetsMs: new Map([['filter', 60_000]]),
  })
  const app = await appWith(t, sampleSource({ overview }))
  const { body } = await read(app, '/')
  assert.match(body, /<h1>1 queue is behind<\/h1>/)
  assert.match(body, /3\.2\/s<span class="quiet"> into filter<\/span>/)
  assert.match(body, /into deliver: unknown/)
  assert.match(body, /aria-label="In the last 30 s 6 messages came in, at most 4 in 10 s"/)
  assert.match(body, /<dt>95 % within<\/dt><dd>2 s<\/dd>/)
  assert.match(body, />4 of 4</)
  for (const page of [body, (await read(app, '/queues')).body, (await read(app, '/queues/filter')).body]) {
    assert.match(page, /Queue filter is behind its target\./)
    assert.match(page, /docker compose up -d --no-recreate --scale filter=4 --wait/)
  }
  assert.match((await read(app, '/queues')).body, /<td data-label="Out" class="num"><div>30\/min/)
})

test('what a filter keeps back hides no queue that is behind, and is not red', async (t) => {
  const queues = [sampleQueue('filter', { held: 40 }), sampleQueue('relay', { waiting: 9, oldestAgeMs: 900_000 })]
  const poison = sampleJob({ queue: 'deliver', state: 'held', reason: 'poison: five starts' })
  const overview = sampleOverview({
    queues: { kind: 'seen', value: queues },
    attention: { kind: 'seen', value: [poison] },
  })
  const { body } = await read(await appWith(t, sampleSource({ overview })), '/')
  assert.match(body, /<h1>1 queue is behind<\/h1>/)
  assert.match(body, /data-tone="waiting" href="\/queues\/filter"/)
  assert.match(body, /data-tone="bad" href="\/queues\/relay"/)
  assert.match(body, /<a href="\/held">40 held<\/a>[^]*poison: five starts/)
  const calm = sampleOverview({ queues: { kind: 'seen', value: [sampleQueue('relay', { delayed: 7, held: 2 })] } })
  const { body: calmBody } = await read(await appWith(t, sampleSource({ overview: calm })), '/')
  assert.match(calmBody, /<h1>7 messages on the way, 2 held<\/h1>/)
})

test('the overview draws the last 24 hours, each number with a way to its messages, and does without them', async (t) => {
  const hour = 3_600_000
  const value = [
    { at: sampleAt - 5 * hour, copies: { delivered: 30, relayed: 12, refused: 5 } },
    { at: sampleAt, copies: { delayed: 4, failed: 2, held: 1 } },
  ]
  const seen = await read(await appWith(t, sampleSource({ hours: { kind: 'seen', value } })), '/')
  assert.match(
    seen.body,
    /aria-label="recipients over time: 42 delivered or relayed, 4 on the way, 1 held, 2 failed, 5 refused or dropped, at most 47 at a time"/,
  )
  assert.match(seen.body, /href="\/messages\?q=status%3Afailed\+after%3A2026-11-20T13%3A00">[^]*?<span class="num">2</)
  assert.equal(parseQuery('status:failed after:2026-11-20T13:00', sampleAt).after, sampleAt - 23 * hour)
  const away = sampleSource({ hours: { kind: 'away', reason: 'there is no message store yet' } })
  assert.match((await read(await appWith(t, away), '/')).body, /Not known now: there is no message store yet/)
})

test('the page of a queue tells what is late, how mail moves through it, and leads to all of its messages', async (t) => {
  const flow = { processes: 2, handlers: 8, busy: 3, inPerSecond: 3, outPerSecond: 2, p95Ms: 1_500, incoming: [1, 2] }
  const overview = sampleOverview({
    queues: { kind: 'seen', value: [sampleQueue('relay', { delayed: 10, held: 1 })] },
    flows: new Map([['relay', flow]]),
    targetsMs: new Map([['relay', 300_000]]),
  })
  const app = await appWith(t, sampleSource({ overview, jobs: [sampleJob()] }))
  const { body } = await read(app, '/queues/relay?state=delayed')
  assert.match(body, /Nothing is due; 10 messages wait for the next attempt; 1 held\./)
  assert.match(
    body,
    /in, last minute<\/dt><dd>3\.0\/s[^]*out, last minute<\/dt><dd>2\.0\/s[^]*3 of 8[^]*target<\/dt><dd>5 min</,
  )
  assert.match(body, /href="\/messages\/actions\?q=queue%3Arelay\+status%3Adelayed"/)
})

test('messages are counted by tag, and a tag leads to what can be done to all of it', async (t) => {
  const jobs = [sampleJob({ tags: ['Bulk & more'] }), sampleJob({ tags: ['Bulk & more'], state: 'held' })]
  const { body } = await read(await appWith(t, sampleSource({ jobs })), '/queues')
  assert.match(body, /<a href="\/tags\/Bulk%20%26%20more">Bulk &amp; more<\/a>/)
  assert.match(body, /data-label="Delayed" class="num"><div>1<[^]*data-label="Held" class="num"><div>1</)
})

test('the newest events are told with their message, and a word is asked for without a script', async (t) => {
  const events = [{ at: sampleAt, event: 'removed', id: sampleId, by: hostile }]
  const app = await appWith(t, sampleSource({ events }))
  const { body } = await read(app, `/events?word=${encodeURIComponent(hostile)}`)
  assert.match(body, new RegExp(`href="/messages/${sampleId}"`))
  assert.match(body, /removed by &lt;/)
  assert.match(body, /<form[^>]* action="\/events" method="get"/)
  assert.doesNotMatch(body, /<script>|<img/)
  assert.match((await read(await appWith(t, sampleSource({})), '/events')).body, /Nothing has happened lately/)
})

test('no page reloads under the hands of who reads or types', async (t) => {
  const app = await appWith(t, sampleSource({}))
  for (const url of ['/', '/queues', '/held', '/events', '/destinations']) {
    const { body } = await read(app, url)
    assert.doesNotMatch(body, /http-equiv="refresh"/, url)
    assert.match(body, /<noscript><a href="">Reload<\/a><\/noscript>/, url)
  }
})
