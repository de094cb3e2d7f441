import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { postpone, settled } from '../../shared/mail/disposition.ts'
import { parseReplyLine } from '../../shared/mail/reply.ts'
import type { BackOff, Entrance } from '../../shared/queue/queues.ts'
import { QueueUnavailableError } from '../../shared/queue/queues.ts'
import { withBackOff } from './back-off-lane.ts'
import type { OnClosed } from './back-off-lane.ts'
import { stageContext, stageMessage } from './testing.ts'

const pause = { firstMs: 30_000, longestMs: 1_800_000 }

interface Seen {
  readonly calls: readonly string[]
  readonly disposition: Disposition
}

/** What came of a message whose work ends so. */
async function run(
  entrance: Entrance,
  work: (onClosed: OnClosed) => Promise<Disposition>,
  signal = new AbortController().signal,
): Promise<Seen> {
  const calls: string[] = []
  const backOff: BackOff = {
    enter: async () => entrance,
    leave: async (_destination, _holder, worked) => void calls.push(`leave ${worked ? 'worked' : 'not worked'}`),
    complained: async (destination, { firstMs }) => {
      calls.push(`${destination} complained, ${firstMs}`)
      return firstMs
    },
    closed: async (destination, forMs) => {
      calls.push(`${destination} closed, ${forMs}`)
      return {
        kind: 'wait',
        waitMs: forMs + 1,
        suspended: true,
        lane: { destination: `back-off ${destination}`, limit: 0 },
      }
    },
    lift: async () => {},
    pauses: async () => new Map(),
  }
  const events = { suspended: ({ reply }: { reply: { code: number } }) => void calls.push(`told ${reply.code}`) }
  const context = { ...stageContext({ backOff, events }), signal }
  const disposition = await withBackOff(stageMessage(), context, 'far.test', { backOff: pause }, work)
  return { calls, disposition }
}

function attempt(line: string, remoteMta: string | undefined): DeliveryAttempt {
  const reply = parseReplyLine(line)
  assert.ok(reply !== undefined)
  return { recipient: 0, reply, reached: 'remote', ...(remoteMta === undefined ? {} : { remoteMta }) }
}

const mx = 'mx.far.test[192.0.2.1]:25'
const asked = ['far.test complained, 30000', 'told 421']

const attempts: readonly (readonly [line: string, remoteMta: string | undefined, calls: readonly string[]])[] = [
  ['421 4.7.0 Try again later', mx, asked],
  ['451 4.7.1 Too many messages, slow down', mx, ['far.test complained, 30000', 'told 451']],
  ['450 4.7.28 Unusual rate', mx, ['far.test complained, 30000', 'told 450']],
  ['421 4.4.2 Idle for too long', mx, []],
  ['450 4.2.1 The user receives mail too quickly', mx, []],
  ['452 4.5.3 Too many recipients', mx, []],
  ['451 4.7.1 Greylisted', mx, []],
  ['550 5.1.1 No such user', mx, []],
  ['250 2.0.0 Taken', mx, []],
  ['451 4.4.1 No mail server answered', undefined, ['far.test complained, 15000', 'told 451']],
  ['451 4.4.3 The mail servers could not be looked up', undefined, ['far.test complained, 15000', 'told 451']],
  ['550 5.1.2 The domain does not exist', undefined, []],
  ['451 4.3.5 The configuration has no relay action "out"', undefined, []],
]

for (const [line, remoteMta, calls] of attempts) {
  test(`"${line}"${remoteMta === undefined ? ', of our own,' : ''} ${calls.length > 0 ? 'suspends the destination' : 'suspends nothing'}`, async () => {
    assert.deepEqual((await run({ kind: 'open' }, async () => settled([attempt(line, remoteMta)]))).calls, calls)
  })
}

test('what is suspended is not tried: it waits in its lane and counts as no attempt', async () => {
  const lane = { destination: 'back-off far.test', limit: 0 }
  const { disposition, calls } = await run({ kind: 'wait', waitMs: 5_000, suspended: true, lane }, () =>
    assert.fail('it was tried'),
  )
  assert.ok(disposition.kind === 'postpone')
  assert.deepEqual([disposition.delayMs, disposition.lane, calls], [5_000, lane, []])
})

test('a probe tells what it found, and gives its place back when it breaks off', async () => {
  const probe: Entrance = { kind: 'probe' }
  assert.deepEqual((await run(probe, async () => settled([attempt('250 2.0.0 Ok', mx)]))).calls, ['leave worked'])
  assert.deepEqual((await run(probe, async () => settled([attempt('550 5.1.1 No', mx)]))).calls, ['leave worked'])
  assert.deepEqual((await run(probe, async () => settled([attempt('421 4.7.0 No', mx)]))).calls, [
    ...asked,
    'leave not worked',
  ])
  assert.deepEqual((await run(probe, async () => settled([attempt('451 4.4.2 It was lost', mx)]))).calls, [
    'leave not worked',
  ])
  assert.deepEqual((await run(probe, async () => postpone(1, 'busy'))).calls, ['leave not worked'])
  await assert.rejects(
    run(probe, () => Promise.reject(new Error('broke'))),
    /broke/,
  )
})

test('a process that ends in the middle of an attempt suspends nothing, and gives the place of its probe back', async () => {
  const unreached = async () => settled([attempt('451 4.4.1 No mail server answered', undefined)])
  assert.deepEqual((await run({ kind: 'open' }, unreached, AbortSignal.abort())).calls, [])
  assert.deepEqual((await run({ kind: 'probe' }, unreached, AbortSignal.abort())).calls, ['leave not worked'])
})

test('while Redis is away the back-off holds nobody up', async () => {
  const away = () => Promise.reject(new QueueUnavailableError('away'))
  const context = stageContext({
    backOff: { enter: away, closed: away, leave: away, complained: away, lift: away, pauses: away },
  })
  const done = settled([attempt('421 4.7.0 Later', mx)])
  const disposition = await withBackOff(stageMessage(), context, 'far.test', { backOff: pause }, async () => done)
  assert.equal(disposition, done)
})

test('when every host is left alone, the messages wait in the lane together and do not look one by one', async () => {
  const closed = async (onClosed: OnClosed): Promise<Disposition> => {
    onClosed(40_000)
    return postpone(40_000, 'mx.far.test failed a moment ago')
  }
  const { disposition, calls } = await run({ kind: 'open' }, closed)
  const lane = { destination: 'back-off far.test', limit: 0 }
  assert.deepEqual(disposition, postpone(40_001, 'mx.far.test failed a moment ago', lane))
  assert.deepEqual(calls, ['far.test closed, 40000'])
})
