import assert from 'node:assert/strict'
import { test } from 'node:test'

import { StartError } from '../start/start-error.ts'
import { tracingSettings } from './settings.ts'

const stated = { url: 'http://collector:4318/', withAddresses: false }
const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://env:4318'

test('tracing is off until a collector is named, by the statement or by the standard variable', () => {
  assert.equal(tracingSettings(undefined, {}), undefined)
  assert.equal(tracingSettings(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }), undefined)
  assert.deepEqual(tracingSettings(stated, {}), { url: 'http://collector:4318/v1/traces', withAddresses: false })
  assert.deepEqual(tracingSettings(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT }), { withAddresses: false })
  assert.deepEqual(tracingSettings({ withAddresses: true, sample: 0.5 }, { OTEL_EXPORTER_OTLP_ENDPOINT }), {
    sample: 0.5,
    withAddresses: true,
  })
})

test('the variables that switch it off do', () => {
  assert.equal(tracingSettings(stated, { OTEL_SDK_DISABLED: 'TRUE' }), undefined)
  assert.equal(tracingSettings(stated, { OTEL_TRACES_EXPORTER: 'none' }), undefined)
  assert.ok(tracingSettings(stated, { OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'otlp' }))
})

test('a value that would not be carried out is refused at start', () => {
  const rows: readonly (readonly [Parameters<typeof tracingSettings>[0], Record<string, string>, RegExp])[] = [
    [{ withAddresses: false }, {}, /names no collector/],
    [stated, { OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER is "zipkin"/],
    [stated, { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /OTEL_EXPORTER_OTLP_PROTOCOL is "grpc".*http\/json/],
    [stated, { OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /OTEL_TRACES_SAMPLER is "jaeger_remote"/],
    [stated, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '10' }, /has to be 0 to 1/],
  ]
  for (const [traces, env, message] of rows)
    assert.throws(
      () => tracingSettings(traces, env),
      (error) => error instanceof StartError && message.test(error.message),
    )
  assert.ok(
    tracingSettings({ ...stated, sample: 1 }, { OTEL_TRACES_SAMPLER: 'jaeger_remote' }),
    'the statement decides',
  )
})
