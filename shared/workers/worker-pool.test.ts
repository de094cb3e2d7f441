import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import type { TestTask } from './testing-worker.ts'
import { workerFile } from './worker-file.ts'
import { WallLimitError, createWorkerPool, ownCopy } from './worker-pool.ts'

const file = workerFile(import.meta.url, 'testing-worker')
const pool = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 60_000, heapMb: 64 })
const impatient = createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 200, heapMb: 64 })
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
  await assert.rejects(impatient.run({ kind: 'hang' }), WallLimitError)
  assert.equal(await pool.run(length(Buffer.alloc(4))), 4)
})

test('a task that eats memory is ended, and the next runs in a new thread', async () => {
  await assert.rejects(pool.run({ kind: 'eat' }))
  assert.equal(await pool.run(length(Buffer.alloc(5))), 5)
})

test('a task whose message is given up ends with the reason', async () => {
  const controller = new AbortController()
  const hanging = pool.run({ kind: 'hang' }, { signal: controller.signal })
  controller.abort(new Error('shutting down'))
  await assert.rejects(hanging, /shutting down/)
  assert.equal(await pool.run(length(Buffer.alloc(6))), 6)
})
