import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../../shared/config/model.ts'
import { discard, pass, settled } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { tag } from '../../shared/mail/tag.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import type { ReplayDone } from '../../shared/operate/replay.ts'
import { redisMissing, signalOf } from '../../shared/queue/testing.ts'
import type { MessageView } from '../../shared/report/views.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { openBench, quarantineOnce } from './testing.ts'

const skip = await redisMissing()
const rules = [
  'action "out" relay',
  'match tag Filtered from local for any action "out"',
  'match from any for any action "scan"',
]
const fields = 'X-Seen: yes\r\n'
const filtered = pass(tag('Filtered'), [{ kind: 'prepend', fields }])
const well: Reply = { code: 250, enhanced: '2.0.0', text: 'OK' }

async function open(t: Parameters<typeof openBench>[0], change?: Parameters<typeof openBench>[2]) {
  const bench = await openBench(t, rules, change)
  const { ctl, context } = bench
  const view = async (id: string): Promise<MessageView> =>
    JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView
  return {
    ...bench,
    jobs: async (id: MessageId) =>
      (await context.queues.jobsOf(id))
        .filter(({ state }) => state !== 'completed')
        .map(({ queue, data }) => `${queue} ${data.to.join(',')} ${data.tags.join(',')} ${data.edits.length}`)
        .toSorted(),
    /** Waits until the story has so many of these. */
    told: async (id: MessageId, event: string, count = 1) => {
      while ((await view(id)).story.filter((line) => line.event === event).length < count);
    },
    view,
    /** What a queue is asked, until so many messages came there. */
    work: (queue: string, decide: (message: StageMessage) => Disposition, count = 1) =>
      work(context, { queue, decide, count }),
  }
}

interface Work {
  readonly queue: string
  readonly decide: (message: StageMessage) => Disposition
  readonly count: number
}

async function work(context: ServiceContext, { queue, decide, count }: Work): Promise<readonly StageMessage[]> {
  const asked: StageMessage[] = []
  const enough = signalOf()
  const stage = await defineStage({
    name: queue,
    handle: async (message) => {
      asked.push(message)
      if (asked.length === count) setImmediate(enough.resolve)
      return decide(message)
    },
  }).start(context)
  await enough.promise
  await stage.close()
  return asked
}

function answer(reply: Reply): (message: StageMessage) => Disposition {
  return ({ pending }) => settled(pending.map((recipient) => ({ recipient, reply, reached: 'remote' })))
}

async function counts({ spool }: ServiceContext) {
  const index = await LiveIndex.open(spool.volume)
  await index.close()
  return index.counts()
}

test(
  'a message that waits goes back to a queue it passed, as it was there, and takes its way once',
  { skip },
  async (t) => {
    const { ctl, accept, context, jobs, view, told: heard, work: handle } = await open(t)
    const id = await accept(['joe@far.test', 'jim@far.test'])
    await handle('filter', () => filtered)
    await heard(id, 'passed')
    await handle('relay', answer(replies.tryLater))
    const relaying = ['relay joe@far.test,jim@far.test Filtered 2']
    assert.deepEqual(await jobs(id), relaying)
    const would = 'would go again from filter, with no tag and 1 edit'
    const { out } = await ctl('replay', id, '--from', 'filter', '--dry-run')
    assert.ok(out.startsWith(`joe@far.test: ${would}\njim@far.test: ${would}\n\n`), out)
    assert.match(
      out,
      /^filter +joe@far\.test, jim@far\.test +not asked: no service works on the queue filter +pass, tag Filtered$/m,
    )
    assert.deepEqual(await jobs(id), relaying)
    for (let round = 0; round < 2; round += 1) {
      const words = round === 0 ? ['--from', 'filter'] : []
      assert.match((await ctl('replay', id, ...words)).out, /^joe@far\.test: goes again from \S+/)
      assert.deepEqual(await jobs(id), ['filter joe@far.test,jim@far.test  1'])
      const [seen] = await handle('filter', () => filtered)
      assert.deepEqual([seen?.envelope.tags, seen?.edits.length], [[], 1])
      assert.deepEqual(await jobs(id), relaying)
    }
    await handle('relay', answer(well))
    assert.deepEqual(await jobs(id), [])
    const { accepted, pending, final, repeated } = await counts(context)
    assert.deepEqual([accepted, pending, final.relayed, repeated], [2, 0, 2, 0])
    const told = (await view(id)).story.map(({ text }) => text)
    assert.ok(
      told.some((text) =>
        /^goes again from filter, for joe@far\.test, jim@far\.test, by \S+ \(sluicectl\)$/.test(text),
      ),
    )
  },
)

test('one copy goes back, the other stays; where it was not it cannot begin', { skip }, async (t) => {
  const { ctl, accept, jobs, work: handle } = await open(t)
  const id = await accept(['joe@far.test', 'jim@far.test'])
  await handle('filter', () => filtered)
  assert.match(
    (await ctl('replay', id, '--from', 'sign')).errors,
    /has not passed sign on its way to joe@far\.test: it passed filter, relay; /,
  )
  assert.match((await ctl('replay', id, '--recipient', 'x@far.test')).errors, /is not for x@far\.test/)
  assert.equal((await ctl('replay', id, '--from', 'filter', '--recipient', 'jim@far.test')).code, 0)
  assert.deepEqual(await jobs(id), ['filter jim@far.test  1', 'relay joe@far.test Filtered 2'])
})

test(
  'nobody gets it twice unasked; asked for it is a message of its own, and the sum is right',
  { skip },
  async (t) => {
    const { ctl, accept, context, jobs, view, work: handle } = await open(t)
    const id = await accept(['joe@far.test'])
    await handle('filter', () => filtered)
    await handle('relay', answer(well))
    assert.match((await ctl('replay', id)).errors, /has arrived already: .*\(--again\)/)
    assert.deepEqual(await jobs(id), [])
    const { out } = await ctl('replay', id, '--from', 'relay', '--again', '--json')
    const [copy] = (JSON.parse(out) as ReplayDone).copies
    const as = copy?.as ?? assert.fail(out)
    while ((await jobs(as)).length === 0);
    assert.deepEqual(await jobs(as), ['relay joe@far.test Filtered 2'])
    const [again] = await handle('relay', answer(well))
    assert.deepEqual([again?.envelope.id, again?.edits.length], [as, 2])
    assert.match((await again?.stored.content())?.toString() ?? '', /Hello Jane\./)
    const { accepted, final, repeated } = await counts(context)
    assert.deepEqual([accepted, final.relayed, repeated], [2, 2, 0])
    assert.ok((await view(id)).story.some(({ text }) => text.includes(`as message ${as}`)))
  },
)

test('who was refused or discarded gets it now, who has it is left out', { skip }, async (t) => {
  const { ctl, accept, jobs, work: handle } = await open(t)
  const id = await accept(['joe@far.test', 'jim@far.test'])
  await handle('filter', () => filtered)
  await handle('relay', ({ pending }) =>
    settled(
      pending.map((recipient) => ({
        recipient,
        reply: recipient === 0 ? well : { code: 550, enhanced: '5.1.1', text: 'No' },
        reached: 'remote',
      })),
    ),
  )
  const { out } = await ctl('replay', id)
  const [, as = ''] =
    /^jim@far\.test: goes as message (\S+) from its beginning, with no tag and 1 edit$/m.exec(out) ?? []
  assert.match(out, /^joe@far\.test: has it already, and is left out \(--again\)$/m)
  while ((await jobs(as as MessageId)).length === 0);
  assert.deepEqual(await jobs(as as MessageId), ['filter jim@far.test  1'])
  const lost = await accept(['ann@far.test'])
  await handle('filter', () => discard('score 20'), 2)
  assert.match((await ctl('replay', lost, '--from', 'filter')).out, /^ann@far\.test: goes as message/)
})

test('what a filter keeps back is judged again when it begins there', { skip }, async (t) => {
  const { ctl, accept, context, jobs, work: handle } = await open(t)
  const id = await accept(['joe@far.test'])
  await quarantineOnce(context)
  assert.equal((await ctl('replay', id)).code, 0)
  assert.deepEqual(await jobs(id), ['filter joe@far.test  1'])
  const [again] = await handle('filter', () => filtered)
  assert.equal(again?.released, undefined)
  assert.deepEqual(await jobs(id), ['relay joe@far.test Filtered 2'])
})

const kept = (read: Configuration): Configuration => ({
  ...read,
  pipeline: { ...read.pipeline, replay: { keepMs: 7 * 86_400_000 } },
})

test(
  'with `replay keep` it begins as it came to a stage long ago, each copy with its own next hop',
  { skip },
  async (t) => {
    const { ctl, accept, context, redis, jobs, told, work: handle } = await open(t, kept)
    const id = await accept(['joe@far.test', 'ann@near.test'])
    await handle('filter', () => filtered)
    await handle('relay', answer(well), 2)
    await told(id, 'relayed', 2)
    await redis.empty()
    const { out } = await ctl('replay', id, '--from', 'relay', '--again', '--json')
    const [one, other] = (JSON.parse(out) as ReplayDone).copies
    const as = one?.as ?? assert.fail(out)
    assert.equal(other?.as, as)
    while ((await jobs(as)).length < 2);
    const asked = await handle('relay', answer(well), 2)
    assert.deepEqual(
      asked
        .map(({ envelope, pending, destination = '', edits }) => {
          const to = pending.map((one) => envelope.recipients[one]?.mailbox).join()
          return `${to} by ${destination}, ${envelope.tags.join()}, ${JSON.stringify(edits.at(-1))}`
        })
        .toSorted(),
      ['ann@near.test by near.test', 'joe@far.test by far.test'].map(
        (way) => `${way}, Filtered, ${JSON.stringify({ kind: 'prepend', fields })}`,
      ),
    )
    const sums = await counts(context)
    assert.deepEqual([sums.accepted, sums.final.relayed, sums.repeated], [4, 4, 0])
  },
)

test('without it that is known for an hour, and afterwards of the first queue alone', { skip }, async (t) => {
  const { ctl, accept, redis, jobs, told, work: handle } = await open(t)
  const id = await accept(['joe@far.test'])
  await handle('filter', () => filtered)
  await handle('relay', answer({ code: 550, enhanced: '5.1.1', text: 'No' }))
  await told(id, 'failed')
  await redis.empty()
  assert.match(
    (await ctl('replay', id, '--from', 'relay')).errors,
    /not known any more: .* `replay keep` in pipeline\.conf/,
  )
  const { out } = await ctl('replay', id, '--from', 'filter', '--json')
  const as = (JSON.parse(out) as ReplayDone).copies[0]?.as ?? assert.fail(out)
  while ((await jobs(as)).length === 0);
  assert.deepEqual(await jobs(as), ['filter joe@far.test  1'])
  // It may yet arrive.
  assert.match((await ctl('replay', id, '--from', 'filter')).errors, /has arrived already: .*\(--again\)/)
})

test('a copy goes to another address, whose sender hears nothing of it, and once', { skip }, async (t) => {
  const { ctl, accept, jobs, work: handle } = await open(t)
  const id = await accept(['joe@far.test'])
  await handle('filter', () => filtered)
  await handle('relay', answer(well))
  assert.match((await ctl('replay', id, '--to', 'joe@far.test')).errors, /joe@far\.test has it already, .*\(--again\)/)
  assert.equal(
    (await ctl('replay', id, '--from', 'relay', '--to', 'eve@audit.test', '--dry-run')).out,
    'eve@audit.test: would go a copy, as a new message, from relay, with tag Filtered and 2 edits\n',
  )
  const { out } = await ctl('replay', id, '--from', 'relay', '--to', 'eve@audit.test', '--json')
  const as = (JSON.parse(out) as ReplayDone).copies[0]?.as ?? assert.fail(out)
  while ((await jobs(as)).length === 0);
  const [copy] = await handle('relay', answer(well))
  assert.deepEqual(
    [copy?.destination, copy?.envelope.recipients, copy?.edits.length],
    ['audit.test', [{ mailbox: 'eve@audit.test', notify: ['never'] }], 2],
  )
  assert.match((await ctl('replay', id, '--to', 'eve@audit.test')).errors, /has it already/)
})

test('what is gone from the disk is said to be, and how it is kept', { skip }, async (t) => {
  const { ctl } = await open(t)
  assert.match(
    (await ctl('replay', newMessageId(Date.now()))).errors,
    /is not in the spool any more: .* `replay keep 7d` in pipeline\.conf/,
  )
})

test('asked for twice at the same moment, a message goes again once', { skip }, async (t) => {
  const { ctl, accept, context, told: heard, work: handle } = await open(t)
  const id = await accept(['joe@far.test'])
  await handle('filter', () => filtered)
  await handle('relay', answer({ code: 550, text: 'no' }))
  await heard(id, 'failed')
  const before = (await counts(context)).accepted
  const asked = await Promise.all(Array.from({ length: 4 }, () => ctl('replay', id)))
  assert.equal(asked.filter(({ code }) => code === 0).length, 1)
  assert.equal((await counts(context)).accepted - before, 1)
})
