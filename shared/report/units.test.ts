import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatDuration, formatRate, formatInstant, formatSecond, formatSize, plural } from './units.ts'

test('a duration is told in at most two units', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0 ms'],
    [850, '850 ms'],
    [12_400, '12 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [349_200_000, '4 d 1 h'],
    [-5_000, '-5 s'],
  ]
  for (const [durationMs, text] of table) assert.equal(formatDuration(durationMs), text)
})

test('a size is told in octets or with one decimal', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [4300, '4.2 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
  ]
  for (const [bytes, text] of table) assert.equal(formatSize(bytes), text)
})

test('instants are UTC and sort as text', () => {
  assert.equal(formatInstant(Date.UTC(2026, 10, 21, 3, 4, 5, 6)), '2026-11-21 03:04:05.006Z')
  assert.equal(formatSecond(Date.UTC(2026, 10, 21, 3, 4, 5, 6)), '2026-11-21 03:04:05Z')
})

test('counts agree with their noun', () => {
  assert.equal(plural(1, 'message'), '1 message')
  assert.equal(plural(0, 'message'), '0 messages')
})

test('a rate is told in the unit that gives a whole picture', () => {
  assert.deepEqual([0, 1 / 60, 0.5, 1, 9.94, 250.4].map(formatRate), [
    '0/s',
    '1/min',
    '30/min',
    '1.0/s',
    '9.9/s',
    '250/s',
  ])
})
