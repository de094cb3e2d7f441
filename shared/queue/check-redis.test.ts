import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLog } from '../log.ts'
import { judge, parseInfo, UnsuitableRedisError } from './check-redis.ts'
import { ensureRedis } from './ensure-redis.ts'
import type { RedisAddress } from './redis-address.ts'
import { redisMissing, startTestRedis } from './testing.ts'

const address: RedisAddress = { kind: 'socket', path: '/run/redis.sock' }
const good =
  'redis_version:7.2.4\r\nmaxmemory:1000\r\nused_memory:100\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n'
const skip = await redisMissing()

test('a fit Redis is neither refused nor warned about', () => {
  const report = judge(parseInfo(good), address)
  assert.deepEqual([report.refusals, report.warnings, report.tooFull], [[], [], false])
})

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['a Redis older than 6.2', 'redis_version:6.0.16', /needs Redis 6\.2 or newer/],
  ['a policy that evicts jobs', 'maxmemory_policy:allkeys-lru', /redis-cli -s \/run\/redis\.sock CONFIG SET/],
  ['a read-only replica', 'role:slave\r\nslave_read_only:1\r\nmaster_host:a\r\nmaster_port:1', /its primary, a:1/],
]
for (const [what, lines, text] of refused) {
  test(`${what} is refused, with the cure`, () => {
    const report = judge(parseInfo(`${good}${lines}\r\n`), address)
    assert.equal(report.refusals.length, 1)
    assert.match(report.refusals.join('\n'), text)
  })
}

test('Valkey counts by its own version', () => {
  const report = judge(parseInfo(`${good}valkey_version:8.1.0\r\n`), address)
  assert.deepEqual([report.server, report.version, report.refusals], ['valkey', '8.1.0', []])
})

const fills: readonly (readonly [number, number, boolean])[] = [
  [599, 0, false],
  [600, 1, false],
  [749, 1, false],
  [750, 1, true],
]
for (const [used, warnings, tooFull] of fills) {
  test(`at ${used / 10} % of maxmemory an operator gets ${warnings} warnings, new mail ${tooFull ? 'waits' : 'goes on'}`, () => {
    const report = judge(parseInfo(`${good}used_memory:${used}\r\n`), address)
    assert.deepEqual([report.warnings.length, report.tooFull], [warnings, tooFull])
  })
}

test('starting on a Redis that would evict jobs fails with what to type', { skip }, async () => {
  const redis = await startTestRedis(['--maxmemory-policy', 'allkeys-lru'])
  try {
    const starting = ensureRedis({ dataFolder: '/nonexistent', redisUrl: redis.url, log: silentLog() })
    await assert.rejects(starting, (error: Error) => {
      assert.ok(error instanceof UnsuitableRedisError)
      assert.match(error.message, /CONFIG SET maxmemory-policy noeviction/)
      assert.match(error.message, /redis\.conf/)
      return true
    })
  } finally {
    await redis.close()
  }
})
