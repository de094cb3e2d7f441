import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()

test('traces go nowhere unless it is said where, and what is left out is left to the standard variables', async () => {
  assert.equal((await load('')).traces, undefined)
  const rows: readonly (readonly [string, object])[] = [
    ['traces', { withAddresses: false }],
    ['traces to "http://collector:4318"', { url: 'http://collector:4318/', withAddresses: false }],
    [
      'traces to "https://otel.example.org/tenant" sample 10%',
      { url: 'https://otel.example.org/tenant', sample: 0.1, withAddresses: false },
    ],
    ['traces sample 0.5% with addresses', { sample: 0.005, withAddresses: true }],
    [
      'traces to "http://10.1.2.3:4318" sample 100% with addresses',
      { url: 'http://10.1.2.3:4318/', sample: 1, withAddresses: true },
    ],
    ['traces to "http://otel.example.org"', { url: 'http://otel.example.org/', withAddresses: false }],
  ]
  for (const [line, settings] of rows) assert.deepEqual((await load(line)).traces, settings, line)
})

test('what traces cannot mean is refused, with what to write instead', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['traces to'], /URL of the collector/],
    [['traces to "collector:4318"'], /not a URL of http[^]*http:\/\/collector:4318/],
    [['traces to "http://user:pw@collector:4318"'], /no password[^]*OTEL_EXPORTER_OTLP_HEADERS/],
    [['traces to "http://collector:4318/v1/traces"'], /\/v1\/traces is added[^]*"http:\/\/collector:4318"/],
    [['traces "http://collector:4318"'], /a setting of traces/],
    [['traces sample'], /not a share[^]*10%/],
    [['traces sample 10'], /"10" is not a share of the traces[^]*10%/],
    [['traces sample 101%'], /not a share/],
    [['traces with people'], /addresses/],
    [['traces to "http://otel.example.org" with addresses'], /in clear[^]*https/],
    [['traces', 'traces sample 1%'], /"traces" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})
