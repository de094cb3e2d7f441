import assert from 'node:assert/strict'
import { test } from 'node:test'

import { releaseTime } from './release-time.ts'

const offer = { maxMs: 86_400_000, nowAt: Date.UTC(2026, 10, 21, 12, 0, 0) }

test('HOLDFOR and HOLDUNTIL: only what is a time, and not farther away than was offered', () => {
  const cases: readonly (readonly ['HOLDFOR' | 'HOLDUNTIL', string, number | undefined])[] = [
    ['HOLDFOR', '60', offer.nowAt + 60_000],
    ['HOLDFOR', '86400', offer.nowAt + 86_400_000],
    ['HOLDFOR', '86401', undefined],
    ['HOLDFOR', '0', undefined],
    ['HOLDFOR', '-1', undefined],
    ['HOLDFOR', '1e3', undefined],
    ['HOLDFOR', '', undefined],
    ['HOLDUNTIL', '2026-11-21T13:00:00Z', offer.nowAt + 3_600_000],
    ['HOLDUNTIL', '2026-11-21T14:00:00.5+01:00', offer.nowAt + 3_600_500],
    ['HOLDUNTIL', '2026-11-20T00:00:00Z', offer.nowAt],
    ['HOLDUNTIL', '2026-11-23T00:00:00Z', undefined],
    ['HOLDUNTIL', '2026-11-21', undefined],
    ['HOLDUNTIL', '2026-13-41T13:00:00Z', undefined],
    ['HOLDUNTIL', 'tomorrow', undefined],
  ]
  for (const [keyword, value, expected] of cases)
    assert.equal(releaseTime(keyword, value, offer), expected, `${keyword}=${value}`)
})
