import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { silentLog } from '../log.ts'
import { recordedTracing } from '../tracing/testing.ts'
import { openQueues } from './queues.ts'
import type { Queues } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

describe('traces of jobs', { skip: await redisMissing() }, () => {
  let redis: TestRedis
  let queues: Queues
  const tracing = recordedTracing()

  before(async () => {
    redis = await startTestRedis()
    const { endpoint } = redis
    queues = openQueues({ endpoint, prefix: 'sluice', names: ['filter'], log: silentLog(), tracing })
    assert.ok(await queues.ready(30_000))
  })

  after(async () => {
    await queues.close()
    await redis.close()
  })

  test('a job that carries a trace goes on with it, a retry too; one without is worked on as ever', async () => {
    const root = tracing.begin('transaction')
    assert.ok(root !== undefined)
    const plain = testJob('filter')
    const traced = testJob('filter', { trace: root.traceParent })
    const spans = new Map<string, boolean[]>()
    const finished = signalOf()
    const worker = queues.work('filter', {
      concurrency: 2,
      handler: async (data, { jobId, span }) => {
        const starts = [...(spans.get(jobId) ?? []), span !== undefined]
        spans.set(jobId, starts)
        span?.child('stage').end()
        if ([...spans.values()].flat().length === 4) finished.resolve()
        return starts.length === 1 ? { kind: 'later', data, delayMs: 1, reason: 'again' } : { kind: 'done' }
      },
    })
    await queues.add([plain, traced])
    await finished.promise
    await worker.close()
    root.end()
    await tracing.close()
    assert.deepEqual(spans.get(plain.jobId), [false, false])
    assert.deepEqual(spans.get(traced.jobId), [true, true])
    const nameOf = (id: string | undefined) => tracing.spans.find((one) => one.spanContext().spanId === id)?.name
    const told = tracing.spans.map((one) => `${nameOf(one.parentSpanContext?.spanId) ?? ''} > ${one.name}`)
    assert.deepEqual(told.toSorted(), [
      ' > transaction',
      'process filter > stage',
      'process filter > stage',
      'transaction > process filter',
      'transaction > process filter',
      'transaction > wait filter',
    ])
  })
})
