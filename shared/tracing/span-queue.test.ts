import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'

import { silentLog } from '../log.ts'
import { SpanQueue } from './span-queue.ts'

type Done = Parameters<SpanExporter['export']>[1]

/** A collector that answers when it is told to. */
function slowCollector() {
  const batches: { readonly spans: readonly ReadableSpan[]; readonly done: Done }[] = []
  const exporter: SpanExporter = {
    export: (spans, done) => void batches.push({ spans, done }),
    shutdown: () => Promise.resolve(),
  }
  return { batches, exporter }
}

function opened(exporter: SpanExporter, mostWaiting: number) {
  const counted = { sent: 0, dropped: 0 }
  const told: string[] = []
  const log = {
    ...silentLog(),
    warn: (_: object, text: string) => told.push(text),
    info: (_: object, text: string) => told.push(text),
  }
  const count = (outcome: 'sent' | 'dropped', spans: number): void => void (counted[outcome] += spans)
  const queue = new SpanQueue({ exporter, log, count, mostWaiting, delayMs: 1 })
  const tracer = new BasicTracerProvider({ spanProcessors: [queue] }).getTracer('test')
  const end = (times: number): void => {
    for (let nth = 0; nth < times; nth++) tracer.startSpan('work').end()
  }
  return { queue, counted, told, end }
}

test('while the collector is slow so many spans wait, the others are dropped, counted and told once', async () => {
  const { batches, exporter } = slowCollector()
  const { queue, counted, told, end } = opened(exporter, 600)
  end(512)
  assert.equal(batches[0]?.spans.length, 512)
  end(700)
  assert.deepEqual(counted, { sent: 0, dropped: 100 })
  assert.deepEqual(told, ['traces: spans are dropped until the collector takes them; mail goes on'])
  const flushed = queue.forceFlush()
  batches[0]?.done({ code: 0 })
  while (batches.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(batches[1]?.spans.length, 512, 'one batch at a time')
  batches[1]?.done({ code: 0 })
  while (batches.length < 3) await new Promise((resolve) => setImmediate(resolve))
  batches[2]?.done({ code: 0 })
  await flushed
  assert.deepEqual(counted, { sent: 1112, dropped: 100 })
  assert.equal(told.length, 2, 'that it takes them again')
  await queue.shutdown()
})

test('a batch that the collector refuses is dropped, and the next is tried', async () => {
  const { batches, exporter } = slowCollector()
  const { queue, counted, told, end } = opened(exporter, 100)
  for (const round of [0, 1]) {
    end(1)
    while (batches.length <= round) await new Promise((resolve) => setImmediate(resolve))
    batches[round]?.done({ code: 1, error: new Error('503') })
    await queue.forceFlush()
  }
  assert.deepEqual(counted, { sent: 0, dropped: 2 })
  assert.equal(told.length, 1)
  await queue.shutdown()
  end(1)
  assert.equal(counted.dropped, 3, 'closed: nothing waits any more')
})
