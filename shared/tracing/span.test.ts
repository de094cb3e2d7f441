import assert from 'node:assert/strict'
import { test } from 'node:test'

import { errorType, inSpan, parseTraceParent } from './span.ts'
import { recordedTracing } from './testing.ts'

test('another process goes on with a trace by its traceparent, and nobody else can make one up', async () => {
  const tracing = recordedTracing()
  const root = tracing.begin('session')
  const child = tracing.join(root?.traceParent, 'work')
  for (const forged of [
    undefined,
    '',
    'x',
    `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
    `00-${'1'.repeat(32)}-${'1'.repeat(16)}-00`,
  ])
    assert.equal(tracing.join(forged, 'work'), undefined)
  child?.end()
  root?.end()
  root?.end()
  await tracing.close()
  const [work, session] = tracing.spans
  assert.equal(tracing.spans.length, 2, 'a span ends once')
  assert.equal(work?.parentSpanContext?.spanId, session?.spanContext().spanId)
  assert.equal(parseTraceParent(root?.traceParent)?.traceId, work?.spanContext().traceId)
})

test('work that fails marks its span with what kind of failure it was', async () => {
  const tracing = recordedTracing()
  const root = tracing.begin('session')
  const refused = Object.assign(new Error('Later, jane@sluice.test'), { reply: { code: 451 } })
  await assert.rejects(
    inSpan(root, 'work', {}, () => Promise.reject(refused)),
    refused,
  )
  root?.end()
  await tracing.close()
  const [work] = tracing.spans
  assert.deepEqual([work?.status.code, work?.attributes['error.type']], [2, '451'])
  assert.deepEqual(work?.events, [], 'the text of an error may name people')
  assert.equal(
    errorType(new Error('x', { cause: Object.assign(new Error('y'), { code: 'ECONNREFUSED' }) })),
    'ECONNREFUSED',
  )
  assert.equal(await inSpan(undefined, 'work', {}, (span) => Promise.resolve(span)), undefined)
})

test('what names people is told only when it is asked for', async () => {
  for (const asked of [false, true]) {
    const tracing = recordedTracing(asked)
    const span = tracing.begin('session', { attributes: { absent: undefined, kept: 1 } })
    span?.setPersonal({ from: 'jane@sluice.test' })
    span?.end()
    await tracing.close()
    assert.deepEqual(tracing.spans[0]?.attributes, asked ? { kept: 1, from: 'jane@sluice.test' } : { kept: 1 })
  }
})
