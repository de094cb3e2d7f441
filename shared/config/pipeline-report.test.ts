import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import type { AggregateReportSettings } from './model.ts'
import { pipelineLoader } from './testing.ts'

const loadWhole = pipelineLoader()

async function load(...lines: readonly string[]): Promise<AggregateReportSettings> {
  return (await loadWhole(...lines)).aggregateReports
}

test('nobody gets a report unless it is said who sends it', async () => {
  assert.deepEqual(await load(''), {})
  assert.deepEqual(
    await load(
      'report dmarc from "dmarc-reports@example.org" as "Example Mail"',
      'report tls from "tls-reports@Example.org"',
    ),
    {
      dmarc: { from: 'dmarc-reports@example.org', organisation: 'Example Mail' },
      tls: { from: 'tls-reports@example.org' },
    },
  )
})

test('what cannot be meant is refused with what to write', async () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['report', /what is reported/],
    ['report spf from "a@x.org"', /what is reported/],
    ['report dmarc "a@x.org"', /from/],
    ['report dmarc from "a"', /is not an address for reports/],
    ['report dmarc from "a@[192.0.2.1]"', /is not an address for reports/],
    ['report dmarc from "jürgen@x.org"', /is not an address for reports/],
    ['report dmarc from "a@x.org" as ""', /1 to 100 characters/],
    ['report dmarc from "a@x.org" as "Müller"', /of ASCII/],
    ['report dmarc from "a@x.org" to "b@x.org"', /to/],
    ['report tls from "a@x.org"\nreport tls from "b@x.org"', /is stated already/],
  ]
  for (const [lines, told] of rows)
    await assert.rejects(load(lines), (error) => error instanceof ConfigurationError && told.test(error.message), lines)
})
