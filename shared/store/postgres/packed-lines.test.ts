import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { deliveredStory, testId } from '../testing.ts'
import { packLines, unpackLines } from './packed-lines.ts'

test('packed lines are the same when they are unpacked', () => {
  const line = fc.string({ unit: 'binary', maxLength: 2_000 }).filter((text) => !text.includes('\n'))
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 40 }), (lines) => {
      const whole = lines.map((text) => Buffer.from(text).toString())
      assert.deepEqual(unpackLines(packLines(whole)), whole)
    }),
  )
})

test('a quarter is left of a usual story', () => {
  const lines = deliveredStory(testId()).map((entry) => JSON.stringify(entry))
  assert.ok(packLines(lines).length < lines.join('\n').length / 3)
})

test('what an older version packed is unpacked: the words it was packed with are never changed', () => {
  assert.deepEqual(unpackLines(Buffer.from(packedOnce, 'base64')), [
    '{"at":1795264200000,"event":"relayed","id":"0mwdwmdbom94poxep6","recipient":"jane@example.org","rcpt":0,"reply":"250 2.0.0 Ok: queued as 4D7"}',
    '{"at":1795264200001,"event":"passed","id":"0mwdwmdbom94poxep6","stage":"filter","tag":"Filtered","tookMs":1.5}',
  ])
})

const packedOnce =
  'gznZ0tTIzMTIAASQXY+SHQxyy1PKc1OS8nMtTQryK1ILzNBSR1ZiXqpDakVibkFOql5+UTpyasFMjaip38TFHJ6pDc0RzkGqt1BzOFbXwNIkcuRgz/OGeqa1AA=='
