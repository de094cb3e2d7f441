import assert from 'node:assert/strict'
import { test } from 'node:test'

import { describeAddress, parseRedisUrl, redisCliOf, withPrefix } from './redis-address.ts'

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
  assert.deepEqual(parseRedisUrl('/run/redis.sock', { password: 'secret' }), {
    kind: 'socket',
    path: '/run/redis.sock',
    password: 'secret',
  })
})

test('a password of a file counts more than one in the URL', () => {
  const address = parseRedisUrl('redis://:old@host', { password: 'new' })
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

test('Sentinels are named with what they call the primary', () => {
  const address = parseRedisUrl('rediss+sentinel://mail:p%2Fss@10.0.0.1,[fd00::2]:26380/mymaster/2', {
    sentinelPassword: 'watch',
  })
  assert.deepEqual(address, {
    kind: 'sentinel',
    sentinels: [
      { host: '10.0.0.1', port: 26_379 },
      { host: 'fd00::2', port: 26_380 },
    ],
    name: 'mymaster',
    database: 2,
    tls: true,
    username: 'mail',
    password: 'p/ss',
    sentinelPassword: 'watch',
  })
  assert.equal(describeAddress(address), 'mymaster of the Sentinels 10.0.0.1:26379, [fd00::2]:26380')
})

test('in a Cluster all keys get one hash tag, unless they have one', () => {
  const address = parseRedisUrl('redis+cluster://a:7000,b', { password: 'secret' })
  assert.deepEqual(address, {
    kind: 'cluster',
    nodes: [
      { host: 'a', port: 7000 },
      { host: 'b', port: 6379 },
    ],
    prefix: '{sluice}',
    tls: false,
    password: 'secret',
  })
  assert.equal(withPrefix(address, 'mail').prefix, '{mail}')
  assert.equal(withPrefix(address, '{mail}:two').prefix, '{mail}:two')
  assert.equal(withPrefix(parseRedisUrl('redis://a'), 'mail').prefix, 'mail')
})

test('what names no primary, no host or a database of a Cluster is refused', () => {
  for (const text of [
    'redis+sentinel://a,b',
    'redis+sentinel://a,,b/mymaster',
    'redis+sentinel:///mymaster',
    'redis+sentinel://a/mymaster/first',
    'redis+cluster://a/1',
    'redis+cluster://a:port',
    'redis+pool://a/b',
  ]) {
    assert.throws(() => parseRedisUrl(text), TypeError, text)
  }
})
