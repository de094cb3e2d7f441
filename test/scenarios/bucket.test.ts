import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'

import { startTestBucket, testCredentials, type TestBucket } from '../../shared/spool/bucket/testing.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem, type MailSystemOptions } from '../support/mail-system.ts'
import { bodyOf, bodySha256, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { sendStorm } from '../support/storm.ts'

const skip = missingPeers('redis-server')
const messages = 600
const env = {
  AWS_ACCESS_KEY_ID: testCredentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: testCredentials.secretAccessKey,
}

test(
  'two hosts share a bucket and a Redis, and one is killed for good in a storm: every message arrives, unaltered, once',
  { skip },
  async (t) => {
    const world = await openWorld(t)
    const [first, second] = [await world.host(), await world.host()]
    let isFirstGone = false
    const port = (): number => (isFirstGone ? second : first).port('smtp')
    const storms = Promise.all([
      sendStorm({ port, messages: messages / 2, bytes: 4_096, name: 'first' }),
      sendStorm({ port: second.port('smtp'), messages: messages / 2, bytes: 300_000, sessions: 2, name: 'second' }),
    ])
    storms.catch(() => undefined)
    await world.sink.waitForDistinct(messages / 4, 300_000)
    await first.kill('inbound')
    isFirstGone = true
    const results = await storms
    await world.sink.waitForDistinct(messages, 300_000)
    await second.waitForEmptyQueues()

    const sent = new Map(results.flatMap((result) => [...result.sent]))
    const uncertain = new Set(results.flatMap((result) => [...result.uncertain]))
    assert.equal(sent.size, messages)
    assert.equal(world.sink.copies.size, messages)
    for (const message of world.sink.messages) assert.equal(message.bodySha256, sent.get(message.id), message.id)
    // Twice is allowed only where an answer was lost with the killed host: 250 to the client, or 250 of the LMTP server.
    const twice = [...world.sink.copies].filter(([id, count]) => count > 1 && !uncertain.has(id))
    assert.ok(twice.length <= deliveriesAtOnce, `${twice.length} came twice`)
  },
)

test('what one host accepted another one delivers, and sluicectl of any host shows it', { skip }, async (t) => {
  const world = await openWorld(t)
  const front = await world.host({ services: 'processes', processes: onlyAccepts })
  const client = await SmtpClient.ready({ port: front.port('smtp') })
  const bodies = [bodyOf('small', 2_000), bodyOf('large', 400_000)]
  const ids: string[] = []
  for (const [index, body] of bodies.entries()) {
    const content = testMessage({ id: `${index}`, from: 'a@remote.test', body })
    ids.push(idOf(await client.send({ from: 'a@remote.test', to: ['jane@sluice.test'], content })))
  }
  assert.match((await front.ctl('spool', 'list')).stdout, /2 messages not settled/)
  const back = await world.host()
  await world.sink.waitForDistinct(2)
  assert.deepEqual(
    new Map(world.sink.messages.map(({ id, bodySha256 }) => [id, bodySha256])),
    new Map(bodies.map((body, index) => [`${index}`, bodySha256(body)])),
  )
  await front.waitForBalance()
  for (const system of [front, back]) {
    assert.match((await system.ctl('spool', 'cat', ids[0] ?? '')).stdout, /X-Test-Id: 0/)
    assert.match((await system.ctl('spool', 'list')).stdout, /0 messages not settled/)
  }
  const told = await back.ctl('preflight')
  assert.match(told.stdout, /all readable; s3:\/\/mail\/spool\/ stores in \d+ ms/)
  await client.quit()
})

test(
  'while the bucket cannot be written mail is put off, and taken when it can; what waited is delivered',
  { skip },
  async (t) => {
    const world = await openWorld(t)
    const system = await world.host()
    const client = await SmtpClient.ready({ port: system.port('smtp'), timeoutMs: 120_000 })
    const send = (id: string) => {
      const content = testMessage({ id, from: 'a@remote.test' })
      return client.send({ from: 'a@remote.test', to: ['jane@sluice.test'], content })
    }
    world.bucket.objects.beforePut = () => {
      throw new Error('no quorum')
    }
    assert.equal((await send('refused')).code, 451)
    // At its next heartbeat it knows.
    while (!/cannot store writers/.test(await health(system))) await pause(500)
    world.bucket.objects.beforePut = () => undefined
    assert.equal((await send('taken')).code, 250)
    while (/cannot store/.test(await health(system))) await pause(500)
    await world.sink.waitForDistinct(1)
    await system.waitForEmptyQueues()
    await system.waitForBalance()
    assert.deepEqual([...world.sink.copies], [['taken', 1]])
    await client.quit()
  },
)

test('a bucket that cannot be used is told at the start, with what to do', { skip }, async (t) => {
  const bucket = await startTestBucket()
  atEnd(t, () => bucket.close())
  const url = bucket.url.replace('/mail/', '/other/')
  const { exit, text } = await MailSystem.refusal({ conf: standardConf(), pipeline: pipelineWith(url), env })
  assert.equal(exit.code, 1)
  assert.match(text, /s3:\/\/other\/spool\/: cannot .*NoSuchBucket.*; make the bucket, or mend its name/)
})

interface World {
  readonly bucket: TestBucket
  readonly sink: MailSink
  host(options?: Pick<MailSystemOptions, 'services' | 'processes'>): Promise<MailSystem>
}

const deliveriesAtOnce = 100
const onlyAccepts = { filter: 0, signer: 0, delivery: 0, relay: 0, reports: 0 }

async function openWorld(t: TestContext): Promise<World> {
  const bucket = await startTestBucket()
  atEnd(t, () => bucket.close())
  const redis = await startRedis()
  atEnd(t, () => redis.close())
  const sink = await startMailSink({ protocol: 'lmtp', keep: 'digest' })
  atEnd(t, () => sink.stop())
  const conf = standardConf({
    deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>`,
    more: 'smtp limit max-mails 100000',
  })
  return {
    bucket,
    sink,
    async host(options = { services: 'embedded' }) {
      const pipeline = pipelineWith(bucket.url)
      const system = await MailSystem.start({ conf, pipeline, redisUrl: redis.url, env, ...options })
      atEnd(t, () => system.stop())
      return system
    },
  }
}

async function health(system: MailSystem): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${system.port('http')}/health`)
  return answer.text()
}

function pipelineWith(url: string): string {
  return standardPipeline(`spool s3 "${url}"`)
}
