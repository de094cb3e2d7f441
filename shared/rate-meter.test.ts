import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RateMeter, mergeFigures, perSecond, percentile95, slotMs, slotsKept } from './rate-meter.ts'

function meterAt(start: number) {
  const time = { now: start }
  return { time, meter: new RateMeter(() => time.now) }
}

test('a rate is that of the last minute that is over', () => {
  const { time, meter } = meterAt(1_000_000_000)
  meter.count(120)
  assert.equal(perSecond(meter.figures()), 0, 'the slot is still being filled')
  time.now += slotMs
  assert.equal(perSecond(meter.figures()), 2)
  time.now += 5 * slotMs
  assert.equal(perSecond(meter.figures()), 2)
  time.now += slotMs
  assert.equal(perSecond(meter.figures()), 0)
})

test('what is older than ten minutes is forgotten, also when nothing came since', () => {
  const { time, meter } = meterAt(1_000_000_000)
  meter.took(5)
  time.now += (slotsKept - 1) * slotMs
  assert.deepEqual([meter.figures().counts[0], meter.figures().counts.length], [1, slotsKept])
  time.now += slotMs
  assert.deepEqual([meter.figures().counts[0], meter.figures().times], [0, []])
})

test('a time is told to within a quarter', () => {
  for (const ms of [0, 1, 3, 17, 250, 4_000, 60_000, 900_000]) {
    const { meter } = meterAt(1_000_000_000)
    meter.took(ms)
    const told = percentile95(meter.figures()) ?? 0
    assert.ok(told >= ms && told <= Math.max(1, ms * 1.2501), `${ms}: ${told}`)
  }
  assert.equal(percentile95(meterAt(0).meter.figures()), undefined)
})

test('five of a hundred may take longer than the ninety-fifth', () => {
  const { meter } = meterAt(1_000_000_000)
  for (let count = 0; count < 95; count += 1) meter.took(1)
  for (let count = 0; count < 5; count += 1) meter.took(10_000)
  assert.equal(percentile95(meter.figures()), 1)
  meter.took(10_000)
  assert.ok((percentile95(meter.figures()) ?? 0) >= 10_000)
})

test('meters of several processes add up, also when one has not spoken for a while', () => {
  const [one, other] = [meterAt(1_000_000_000), meterAt(1_000_000_000)]
  one.meter.took(3)
  other.meter.took(3)
  const early = one.meter.figures()
  other.time.now += slotMs
  other.meter.count()
  const all = mergeFigures([early, other.meter.figures()], other.time.now)
  assert.deepEqual(all.counts.slice(-2), [2, 1])
  assert.equal(
    all.times.reduce((sum, count) => sum + count, 0),
    2,
  )
  assert.deepEqual(mergeFigures([], 0).counts.length, slotsKept)
})
