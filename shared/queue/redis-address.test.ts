import assert from 'node:assert/strict'
import { test } from 'node:test'

import { describeAddress, parseRedisUrl, redisCliOf } from './redis-address.ts'

test('REDIS_URL may name a host, a TLS port, a database or a unix socket', () => {
  assert.deepEqual(parseRedisUrl('redis://cache.example.org'), {
    kind: 'tcp',
    host: 'cache.example.org',
    port: 6379,
    tls: false,
    database: 0,
  })
  assert.deepEqual(parseRedisUrl('rediss://user:p%40ss@[::1]:6390/3'), {
    kind: 'tcp',
    host: '::1',
    port: 6390,
    tls: true,
    database: 3,
    username: 'user',
    password: 'p@ss',
  })
  assert.deepEqual(parseRedisUrl('unix:///run/redis.sock'), { kind: 'socket', path: '/run/redis.sock' })
  assert.deepEqual(parseRedisUrl('/run/redis.sock', 'secret'), {
    kind: 'socket',
    path: '/run/redis.sock',
    password: 'secret',
  })
})

test('a password of a file counts more than one in the URL', () => {
  const address = parseRedisUrl('redis://:old@host', 'new')
  assert.equal(address.password, 'new')
})

test('a password is neither shown in logs nor in the error about a bad URL', () => {
  const address = parseRedisUrl('redis://:secret@host:1')
  assert.equal(describeAddress(address), 'host:1')
  assert.equal(redisCliOf(address), 'redis-cli -h host -p 1')
  assert.throws(
    () => parseRedisUrl('http://:secret@host'),
    (error: Error) => !error.message.includes('secret'),
  )
})
