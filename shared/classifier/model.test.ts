import assert from 'node:assert/strict'
import { test } from 'node:test'

import { starterModel } from './classifier.ts'
import { featuresOf } from './features.ts'
import { logOdds, train } from './logistic.ts'
import { decodeModel, encodeModel, judge, ModelError } from './model.ts'
import { exampleMail } from './testing.ts'

const small = { bits: 12, epochs: 6, rate: 1, seeds: [1] }
const samples = Array.from({ length: 40 }, (_one, number) => ({
  isSpam: number % 2 === 0,
  features: featuresOf(exampleMail(number, number % 2 === 0 ? 'spam' : 'ham')),
}))

test('what was taught is told apart in mail that was not taught, and the same teaching makes the same model', () => {
  const weights = train(samples, small)
  for (const number of [100, 101, 102]) {
    assert.ok(logOdds(weights, featuresOf(exampleMail(number, 'spam'))) > 1)
    assert.ok(logOdds(weights, featuresOf(exampleMail(number, 'ham'))) < -1)
  }
  assert.deepEqual(train(samples, small), weights)
})

const weights = train(samples, small)
const file = encodeModel({ name: 'test', weights, junkAt: 4, mostPoints: 7, ham: 20, spam: 20 })

test('a model that was written judges as before, and its version follows from its content', () => {
  const model = decodeModel(file)
  assert.match(model.version, /^test-[0-9a-f]{8}$/)
  assert.deepEqual([model.junkAt, model.mostPoints, model.ham, model.spam], [4, 7, 20, 20])
  for (const { features } of samples)
    assert.ok(Math.abs(logOdds(model.weights, features) - logOdds(weights, features)) < 0.2)
  const other = encodeModel({
    name: 'test',
    weights: weights.map((one) => -one),
    junkAt: 4,
    mostPoints: 7,
    ham: 0,
    spam: 0,
  })
  assert.notEqual(decodeModel(other).version, model.version)
})

test('a file that is damaged, cut off, of another format or no model at all is refused, not used', () => {
  const damaged = Buffer.from(file)
  damaged[file.length - 5] = (damaged[file.length - 5] ?? 0) ^ 1
  const cases: readonly Buffer[] = [
    damaged,
    file.subarray(0, -100),
    file.subarray(0, 40),
    Buffer.from(file.toString('latin1').replace('"format":1', '"format":2'), 'latin1'),
    Buffer.from(file.toString('latin1').replace('"junkAt":4', '"junkAt":"4"'), 'latin1'),
    Buffer.alloc(0),
    Buffer.from('hello\n'),
    Buffer.from('null\n'),
  ]
  for (const one of cases) assert.throws(() => decodeModel(one), ModelError)
})

test('points grow up to a limit, five of them where junk begins, and being ordinary is worth little', () => {
  const flat = (value: number) => ({ ...decodeModel(file), weights: Float32Array.from([0, 0, value]) })
  const features = Uint32Array.from([7])
  assert.equal(judge(flat(4), features).points, 5)
  assert.equal(judge(flat(2), features).points, 2.5)
  assert.equal(judge(flat(100), features).points, 7)
  assert.equal(judge(flat(-100), features).points, -1.5)
})

test('the starter that comes with Sluice can be read, is never sure enough to do more than mark', () => {
  const starter = starterModel()
  assert.match(starter.version, /^starter-/)
  assert.equal(starter.weights.length, 2 ** 18 + 1)
  assert.ok(starter.mostPoints < 10 && starter.junkAt >= 3)
})
