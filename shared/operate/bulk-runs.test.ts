import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { newMessageId } from '../mail/message-id.ts'
import { signalOf } from '../queue/testing.ts'
import { QueueUnavailableError } from '../queue/unavailable.ts'
import type { CopyState } from '../store/copy-state.ts'
import type { ChosenMessage } from '../store/found-message.ts'
import type { BulkOrder } from './bulk-order.ts'
import { createBulkRuns, describeRun } from './bulk-runs.ts'
import type { Asker } from './bulk-runs.ts'
import type { BulkMessage } from './bulk-order.ts'
import type { DoPiece } from './bulk-work.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const olga: Asker = { by: 'olga (test)', name: 'olga', from: '192.0.2.1' }

function found(count: number, ...states: readonly CopyState[]): readonly ChosenMessage[] {
  const copies = states.map((state, n) => ({ n, state }))
  return Array.from({ length: count }, () => ({ id: newMessageId(nowAt), copies }))
}

function orderOf(fields: Partial<BulkOrder> = {}): BulkOrder {
  return { action: 'hold', query: 'status:open', asOf: nowAt, ...fields }
}

/** Runs in a folder, over what is found; `doPiece` is asked for each piece. */
async function open(t: TestContext, messages: readonly ChosenMessage[], doPiece: DoPiece) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-bulk-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  const told: string[] = []
  const time = { now: nowAt }
  const another = () =>
    createBulkRuns({
      dataFolder,
      clock: { now: () => time.now },
      audit: {
        record: ({ by, action, about, outcome, detail }) => told.push([by, action, about, outcome, detail].join(' | ')),
      },
      bulk: { check: async () => {}, prepare: async () => doPiece },
      choose: async ({ most }) => ({ messages: messages.slice(0, most), isCut: messages.length > most }),
    })
  return { runs: another(), another, told, time, dataFolder }
}

const all: DoPiece = async (piece) => ({ done: piece.length, left: 0 })

test('what would be done is counted by state and by action, copies that were refused not among it', async (t) => {
  const messages = [
    ...found(3, 'delayed', 'delivered'),
    ...found(2, 'held'),
    { ...found(1)[0], copies: [{ n: 1_000_000, state: 'refused' }] } as ChosenMessage,
  ]
  const { runs } = await open(t, messages, all)
  const { messages: count, isCut, states, counts, again, copied } = await runs.preview({ query: '', asOf: nowAt })
  assert.deepEqual([count, isCut, again, copied], [6, false, 5, 5])
  assert.deepEqual(states, { delayed: 3, delivered: 3, held: 2, refused: 1 })
  assert.deepEqual(counts, { schedule: 3, hold: 3, release: 2, expire: 5, remove: 5, reroute: 5, replay: 5 })
})

test('a run goes in pieces of a hundred, tells how far it is, and stands in the audit log with its beginning and end', async (t) => {
  const sizes: number[] = []
  const { runs, told } = await open(t, found(250, 'queued'), async (piece) => {
    sizes.push(piece.length)
    return { done: piece.length - 1, left: 1 }
  })
  const run = await runs.begin(orderOf(), olga)
  const turns: number[] = []
  const end = await runs.work(run.id, olga, (now) => void turns.push(now.turns))
  assert.deepEqual(sizes, [100, 100, 50])
  assert.deepEqual([...new Set(turns)], [100, 200, 250])
  assert.equal(describeRun(end), '247 jobs held, 3 left')
  assert.deepEqual(await runs.list(), [end])
  assert.deepEqual(told, [
    `olga | hold, by search | status:open | done | run ${run.id} of 250 messages`,
    'olga | hold, by search | status:open | done | 247 jobs held, 3 left',
  ])
  await assert.rejects(runs.work(run.id, olga), /has come to its end/)
  await assert.rejects(runs.cancel(run.id, olga), /has come to its end/)
})

test('a run is cancelled from elsewhere between two pieces, and goes on where it was', async (t) => {
  const done: BulkMessage[] = []
  const first = signalOf()
  const cancelled = signalOf()
  const { runs, another } = await open(t, found(150, 'queued'), async (piece) => {
    done.push(...piece)
    first.resolve()
    await cancelled.promise
    return { done: piece.length, left: 0 }
  })
  const { id } = await runs.begin(orderOf(), olga)
  const working = runs.work(id, olga)
  await first.promise
  await assert.rejects(another().work(id, olga), /is under way/)
  await another().cancel(id, olga)
  cancelled.resolve()
  const end = await working
  assert.equal(describeRun(end), 'cancelled when 100 of 150 messages had had their turn: 100 jobs held')
  assert.equal((await another().work(id, olga)).state, 'done')
  assert.equal(new Set(done.map((one) => one.id)).size, 150)
  assert.equal(done.length, 150)
})

test('where Redis goes away a run says so, and goes on from the piece that broke off', async (t) => {
  let asked = 0
  const { runs } = await open(t, found(150, 'queued'), async (piece) => {
    asked += 1
    if (asked === 2) throw new QueueUnavailableError('Redis is away')
    return { done: piece.length, left: 0 }
  })
  const { id } = await runs.begin(orderOf(), olga)
  const broken = await runs.work(id, olga)
  assert.equal(describeRun(broken), 'failed when 100 of 150 messages had had their turn: 100 jobs held: Redis is away')
  const end = await runs.work(id, olga)
  assert.deepEqual([end.state, end.turns, end.done, end.reason], ['done', 150, 150, undefined])
})

test('a run whose process is gone can be taken up, by one alone; who comes back late does not spoil it', async (t) => {
  const pieces = [signalOf(), signalOf()]
  let asked = 0
  const { runs, another, time } = await open(t, found(250, 'queued'), async (piece) => {
    asked += 1
    await pieces[asked - 1]?.promise
    return { done: piece.length, left: 0 }
  })
  const { id } = await runs.begin(orderOf(), olga)
  const sleeping = runs.work(id, olga)
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve))
  time.now += 31_000
  assert.equal((await runs.find(id))?.state, 'stopped')
  const second = another().work(id, olga)
  while (asked === 1) await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(another().work(id, olga), /is under way/)
  pieces[0]?.resolve()
  assert.equal((await sleeping).turns, 100)
  pieces[1]?.resolve()
  const end = await second
  assert.deepEqual([end.state, end.turns, end.done], ['done', 250, 250])
  assert.deepEqual((await runs.find(id))?.turns, 250)
})

test('what a crash breaks off is not replayed a second time', async (t) => {
  const replayed: string[] = []
  let dies = true
  const { runs } = await open(t, found(10, 'failed'), async (piece) => {
    for (const { id } of piece) replayed.push(id)
    if (dies && replayed.length > 4) throw new QueueUnavailableError('killed')
    return { done: piece.length - 1, left: 1, why: 'it has left the spool' }
  })
  const { id } = await runs.begin(orderOf({ action: 'replay' }), olga)
  assert.equal((await runs.work(id, olga)).turns, 8)
  dies = false
  const end = await runs.work(id, olga)
  assert.equal(new Set(replayed).size, replayed.length)
  assert.equal(describeRun(end), '4 messages replayed, 6 left: it has left the spool')
})

test('a service that stops leaves its run to be taken up at once', async (t) => {
  const first = signalOf()
  const { runs, another } = await open(t, found(150, 'queued'), async (piece) => {
    first.resolve()
    return { done: piece.length, left: 0 }
  })
  const { id } = await runs.begin(orderOf(), olga)
  const working = runs.work(id, olga)
  await first.promise
  await runs.close()
  assert.equal((await working).state, 'stopped')
  assert.equal((await another().work(id, olga)).turns, 150)
})

test('what cannot be done is refused before anything is kept: nothing found, too much, a query that is none', async (t) => {
  const { runs, told } = await open(t, found(3, 'delivered'), all)
  await assert.rejects(runs.begin(orderOf(), olga), /nothing that is found can be held/)
  await assert.rejects(runs.begin(orderOf({ query: 'form:x' }), olga), /'form:' is not known/)
  await assert.rejects(runs.work('../../etc/passwd', olga), /there is no run/)
  const many = await open(t, found(50_001, 'queued'), all)
  await assert.rejects(many.runs.begin(orderOf(), olga), /more than 50000 messages are found/)
  assert.deepEqual([told, await runs.list(), await many.runs.list()], [[], [], []])
})

test('runs of the last month are kept, older ones go with the next', async (t) => {
  const { runs, time, dataFolder } = await open(t, found(1, 'queued'), all)
  const old = await runs.begin(orderOf(), olga)
  await writeFile(join(dataFolder, 'bulk', 'notes'), 'mine')
  time.now += 31 * 86_400_000
  const young = await runs.begin(orderOf(), olga)
  assert.deepEqual(
    (await runs.list()).map(({ id }) => id),
    [young.id],
  )
  assert.equal(await runs.find(old.id), undefined)
  assert.equal(await readFile(join(dataFolder, 'bulk', 'notes'), 'utf8'), 'mine')
})
