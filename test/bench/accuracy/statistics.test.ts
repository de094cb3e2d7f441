import assert from 'node:assert/strict'
import { test } from 'node:test'

import { areaUnderCurve, ratesAt, thresholdFor } from './statistics.ts'

const spam = (score: number) => ({ isSpam: true, score })
const ham = (score: number) => ({ isSpam: false, score })

test('the area is 1 when all spam stands above all ham, 0 the other way round, a half when nothing tells them apart', () => {
  assert.equal(areaUnderCurve([ham(1), ham(2), spam(3), spam(4)]), 1)
  assert.equal(areaUnderCurve([spam(1), ham(2)]), 0)
  assert.equal(areaUnderCurve([spam(1), ham(1), spam(1), ham(1)]), 0.5)
  assert.equal(areaUnderCurve([ham(1), spam(2), ham(3), spam(4)]), 0.75)
})

test('a threshold lets no more ham through than is allowed', () => {
  const scored = [...Array.from({ length: 1_000 }, (_one, score) => ham(score)), spam(996.5), spam(2_000)]
  assert.deepEqual(ratesAt(scored, thresholdFor(scored, 0.003)), { falsePositives: 0.003, recall: 1 })
  assert.deepEqual(ratesAt(scored, thresholdFor(scored, 0)), { falsePositives: 0, recall: 0.5 })
})
