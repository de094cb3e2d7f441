import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, test } from 'node:test'

import type { TestTask } from './testing-worker.ts'
import { workerFile } from './start-worker.ts'
import { ThreadLimitError, createWorkerPool, ownCopy } from './worker-pool.ts'

const file = workerFile('./testing-worker.ts', import.meta.url)
const pool = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 60_000, heapMb: 64 })
const impatient = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 3_000, heapMb: 64 })
after(() => Promise.all([pool.close(), impatient.close()]))

const length = (octets: Uint8Array): TestTask => ({ kind: 'length', octets })

test('a task runs in a thread from source, its octets moved, and the original is kept', async () => {
  const octets = Buffer.from('hello')
  const copy = ownCopy(octets)
  assert.equal(await pool.run(length(copy), { transfer: [copy.buffer] }), 5)
  assert.equal(copy.length, 0)
  assert.equal(octets.toString(), 'hello')
})

test('what a task throws comes back as it was, and the next task runs', async () => {
  await assert.rejects(pool.run({ kind: 'throw' }), RangeError)
  assert.equal(await pool.run(length(Buffer.alloc(3))), 3)
})

test('a task that hangs is ended, and the next runs in a new thread', async () => {
  await assert.rejects(impatient.run({ kind: 'hang' }), ThreadLimitError)
  assert.equal(await pool.run(length(Buffer.alloc(4))), 4)
})

test('the limit counts from when a thread begins: who waits behind a task that hangs is done', async () => {
  const hanging = impatient.run({ kind: 'hang' })
  const behind = impatient.run(length(Buffer.alloc(7)))
  await assert.rejects(hanging, /no result within 3 s/)
  assert.equal(await behind, 7)
})

test('a thread is replaced after as many tasks as it may do', async (t) => {
  const short = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 60_000, mostTasks: 2 })
  t.after(() => short.close())
  const threads: number[] = []
  for (let task = 0; task < 4; task += 1) threads.push(await short.run({ kind: 'thread' }))
  assert.equal(threads[0], threads[1])
  assert.notEqual(threads[1], threads[2])
  assert.equal(threads[2], threads[3])
})

test('a module that cannot be loaded is an error for all who wait, not a thread that is started for ever', async (t) => {
  const broken = createWorkerPool<string, string>({ file: 'file:///nowhere.js', threads: 1, wallMs: 60_000 })
  t.after(() => broken.close())
  const results = await Promise.allSettled([broken.run('one'), broken.run('two')])
  for (const { status } of results) assert.equal(status, 'rejected')
})

test('what waits or works when the threads are closed is told so', async () => {
  const closing = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 60_000 })
  const results = Promise.allSettled([closing.run({ kind: 'hang' }), closing.run({ kind: 'hang' })])
  await closing.close()
  for (const { status } of await results) assert.equal(status, 'rejected')
  await assert.rejects(closing.run({ kind: 'hang' }), /closed/)
})

test('a task that eats memory is ended, and the next runs in a new thread', async () => {
  await assert.rejects(pool.run({ kind: 'eat' }), ThreadLimitError)
  assert.equal(await pool.run(length(Buffer.alloc(5))), 5)
})

test('a task whose message is given up ends with the reason, and with its thread', { timeout: 120_000 }, async (t) => {
  const patient = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 600_000 })
  t.after(() => patient.close())
  // A thread is ready: the task is begun at once.
  await patient.run(length(Buffer.alloc(1)))
  const controller = new AbortController()
  const hanging = patient.run({ kind: 'hang' }, { signal: controller.signal })
  controller.abort(new Error('shutting down'))
  await assert.rejects(hanging, /shutting down/)
  assert.equal(await patient.run(length(Buffer.alloc(6))), 6)
})

test('what is done leaves no listener behind on the signal', async () => {
  const { signal } = new AbortController()
  await pool.run(length(Buffer.alloc(1)), { signal })
  await assert.rejects(pool.run({ kind: 'throw' }, { signal }), RangeError)
  assert.deepEqual(getEventListeners(signal, 'abort'), [])
})
