import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Configuration } from '../../shared/config/model.ts'
import { discard, pass, reject } from '../../shared/mail/disposition.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { EarlyDecision } from '../../shared/pipeline/before-accept.ts'
import type { Pipeline } from '../../shared/pipeline/pipeline.ts'
import { signalOf } from '../../shared/queue/testing.ts'
import type { SmtpClient } from '../../test/support/smtp-client.ts'
import { defaultLimits } from './limits.ts'
import { MessageReceiver } from './message-receiver.ts'
import { startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'

const message = 'From: a@example.net\r\nSubject: x\r\n\r\nHello\r\n'
const sent = { from: 'a@example.net', to: ['jane@example.org'], content: message } as const
const nowAt = Date.UTC(2026, 10, 21, 3, 22, 5)
const refusal = { code: 550, enhanced: '5.7.1', text: 'Message content rejected' }
const passed = decided(pass(tag('Filtered')))

function decided(disposition: EarlyDecision['disposition'] | ReturnType<typeof pass>): EarlyDecision {
  return { kind: 'decided', disposition, tookMs: 3 } as EarlyDecision
}

/** Everybody waits 8 s for the filter, unless `rules` say otherwise. */
function waiting(decide: Pipeline['decide'], rules: readonly object[] = [{ deadlineMs: 8_000 }]): TestInboundOptions {
  const pipeline = { ...testPipeline, beforeAccept: rules } as Configuration['pipeline']
  return { decide, configuration: { pipeline } }
}

/** Inside DATA with all of the message but its end. */
async function nearlySent(t: TestContext, inbound: TestInbound): Promise<SmtpClient> {
  const client = await connected(t, inbound)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '250 '],
    ['RCPT TO:<jane@example.org>', '250 '],
    ['DATA', '354 '],
  ])
  client.write(message)
  return client
}

test('what the filter refuses is refused in the session, and not accepted', async (t) => {
  const inbound = await start(
    t,
    waiting(async () => decided(reject(refusal))),
  )
  const client = await connected(t, inbound)
  assert.equal((await client.send(sent)).raw, '550 5.7.1 Message content rejected')
  assert.deepEqual([inbound.accepted, inbound.aborted()], [[], 1])
  const { stage, reply, id } = only(inbound.rejections)
  assert.deepEqual([stage, reply, typeof id], ['data', refusal, 'string'])
  assert.equal((await client.send(sent)).code, 550, 'the session goes on')
})

for (const [what, decision] of [
  ['what it passes', passed],
  ['what it drops', decided(discard('junk'))],
  ['what it says nothing about', undefined],
] as const)
  test(`the filter is asked with the message as it would be stored; ${what} is accepted with its decision`, async (t) => {
    const asked: Parameters<Pipeline['decide']>[] = []
    const inbound = await start(
      t,
      waiting(async (...words) => {
        asked.push(words)
        return decision
      }),
    )
    const reply = await (await connected(t, inbound)).send(sent)
    const stored = only(inbound.accepted)
    assert.equal(reply.raw, `250 2.0.0 Ok: queued as ${stored.envelope.id}`)
    assert.equal(stored.fate, decision)
    const [unaccepted, { untilAt }] = only(asked)
    assert.deepEqual(unaccepted.envelope, stored.envelope)
    assert.match(JSON.stringify(unaccepted.edits), /Received: from client\.test/)
    assert.ok(untilAt > nowAt && untilAt <= nowAt + 8_000, 'from the end of DATA')
  })

test('clients wait on the listeners that are chosen, as long as is said of them', async (t) => {
  const waits = async (rules: readonly object[]): Promise<number | undefined> => {
    let until: number | undefined
    const inbound = await start(t, {
      ...waiting(async (_, { untilAt }) => {
        until = untilAt
        return undefined
      }, rules),
      listener: { tag: 'Public' },
    })
    await (await connected(t, inbound)).send(sent)
    await inbound.close()
    return until === undefined ? undefined : Math.ceil((until - nowAt) / 1_000)
  }
  assert.equal(await waits([]), undefined)
  assert.equal(await waits([{ for: { kind: 'listener', on: '192.0.2.1' }, deadlineMs: 50_000 }]), undefined)
  const all = { deadlineMs: 30_000 }
  assert.equal(await waits([all, { for: { kind: 'tag', tag: 'public' }, deadlineMs: 50_000 }]), 50)
  assert.equal(await waits([{ for: { kind: 'tag', tag: 'other' }, deadlineMs: 50_000 }, all]), 30)
})

test('the message of a client that is gone before the reply is not accepted', async (t) => {
  const [asked, gone] = [signalOf(), signalOf<unknown>()]
  const inbound = await start(
    t,
    waiting(async (_, { signal }) => {
      signal.addEventListener('abort', () => gone.resolve(signal.reason))
      asked.resolve()
      await gone.promise
      return passed
    }),
  )
  const client = await nearlySent(t, inbound)
  const abort = inbound.nextAbort()
  client.write('.\r\n')
  await asked.promise
  client.reset()
  assert.equal(await gone.promise, 'the client is gone')
  await abort
  await inbound.close()
  assert.deepEqual(inbound.accepted, [])
})

test('at shutdown nobody waits for the filter: the message is accepted', async (t) => {
  const asked = signalOf()
  const inbound = await startInbound(
    waiting(async (_, { signal }) => {
      const stop = new Promise((resolve) => signal.addEventListener('abort', resolve))
      asked.resolve()
      await stop
      return undefined
    }),
  )
  const [client, late] = [await nearlySent(t, inbound), await nearlySent(t, inbound)]
  client.write('.\r\n')
  await asked.promise
  const closed = inbound.close()
  late.write('.\r\n')
  for (const one of [client, late]) assert.equal((await one.reply()).code, 250)
  await closed
  assert.equal(inbound.accepted.length, 2)
})

test('many wait at a time', async (t) => {
  const [all, mayGoOn] = [signalOf(), signalOf()]
  let asked = 0
  const inbound = await start(
    t,
    waiting(async () => {
      asked += 1
      if (asked === 20) all.resolve()
      await mayGoOn.promise
      return passed
    }),
  )
  const clients = await Promise.all(Array.from({ length: 20 }, () => nearlySent(t, inbound)))
  for (const client of clients) client.write('.\r\n')
  await all.promise
  mayGoOn.resolve()
  for (const client of clients) assert.equal((await client.reply()).code, 250)
  assert.equal(inbound.accepted.length, 20)
})

test('a client that waits for our reply is not too slow, however few octets came; it waits as long as a command may take', () => {
  let now = 0
  const receiver = new MessageReceiver({
    content: { write: () => undefined, abort: async () => undefined },
    policy: 'strict',
    maxBytes: 1_000,
    limits: defaultLimits,
    now: () => now,
    onEnd: () => undefined,
    onFlood: () => undefined,
  })
  receiver.take(Buffer.from(`${message}.\r\n`))
  now = defaultLimits.dataIdleMs + 1
  assert.equal(receiver.isStalled(now), true)
  receiver.finish(() => undefined)
  now += defaultLimits.handlerMs
  assert.equal(receiver.isStalled(now), false)
  assert.equal(receiver.isStalled(now + 1), true)
})

test('a message in chunks waits for the filter too', async (t) => {
  const inbound = await start(
    t,
    waiting(async () => decided(reject(refusal))),
  )
  const client = await connected(t, inbound)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '250 '],
    ['RCPT TO:<jane@example.org>', '250 '],
  ])
  client.write(`BDAT ${message.length} LAST\r\n${message}`)
  assert.equal((await client.reply()).raw, '550 5.7.1 Message content rejected')
  assert.deepEqual(inbound.accepted, [])
})
