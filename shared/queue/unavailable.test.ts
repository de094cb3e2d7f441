import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Redis } from 'ioredis'

import { QueueUnavailableError, reach } from './unavailable.ts'

test('why Redis cannot be asked is told in words for operators, not in those of a library about its options', async (t) => {
  // Nobody listens there.
  const redis = new Redis({ host: '127.0.0.1', port: 1, maxRetriesPerRequest: 0, lazyConnect: true })
  redis.on('error', () => undefined)
  t.after(() => redis.disconnect())
  const told = (asked: () => Promise<unknown>): Promise<string> =>
    reach(asked).then(String, (thrown: Error) => thrown.message)
  assert.equal(await told(() => redis.ping()), 'Redis could not be asked: the connection broke off')
  assert.equal(await told(() => Promise.reject(new Error('LOADING'))), 'Redis could not be asked: LOADING')
  assert.equal(await told(() => Promise.reject(new QueueUnavailableError('Redis is away'))), 'Redis is away')
})
