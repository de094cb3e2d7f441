import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { connectOnce } from './connection.ts'
import { ensureRedis, NoRedisError } from './ensure-redis.ts'
import { answers, socketPathOf } from './redis-server.ts'
import { redisMissing } from './testing.ts'

const skip = await redisMissing()
const log = silentLog()

test('processes that start at the same time end with one Redis, and the last one out stops it', { skip }, async () => {
  await withFolder(async (dataFolder) => {
    const settings = { dataFolder, redisUrl: '', log }
    const endpoints = await Promise.all(Array.from({ length: 5 }, () => ensureRedis(settings)))
    const [first, ...others] = endpoints
    assert.ok(first?.address.kind === 'socket')
    const pid = await readFile(join(dataFolder, 'redis', 'redis.pid'), 'utf8')
    await Promise.all(others.map((endpoint) => endpoint.release()))
    assert.ok(await answers(first.address.path), 'Redis runs while somebody uses it')
    assert.equal(await readFile(join(dataFolder, 'redis', 'redis.pid'), 'utf8'), pid)
    await first.release()
    assert.equal(await answers(first.address.path), false)
  })
})

test('a Redis that outlived its Sluice is adopted with what it holds', { skip }, async () => {
  await withFolder(async (dataFolder) => {
    const first = await ensureRedis({ dataFolder, redisUrl: '', log })
    const client = await connectOnce(first.address, 'test', 2000)
    await client.set('kept', 'yes')
    const second = await ensureRedis({ dataFolder, redisUrl: '', log })
    assert.equal(await client.get('kept'), 'yes')
    client.disconnect()
    await first.release()
    await second.release()

    const third = await ensureRedis({ dataFolder, redisUrl: '', log })
    const again = await connectOnce(third.address, 'test', 2000)
    assert.equal(await again.get('kept'), 'yes', 'the queues are on disk')
    assert.equal((await again.config('GET', 'maxmemory-policy')).toString(), 'maxmemory-policy,noeviction')
    again.disconnect()
    await third.release()
  })
})

test('a Redis of our own that dies is started again', { skip }, async () => {
  await withFolder(async (dataFolder) => {
    const endpoint = await ensureRedis({ dataFolder, redisUrl: '', log })
    const pidBefore = Number(await readFile(join(dataFolder, 'redis', 'redis.pid'), 'utf8'))
    process.kill(pidBefore, 'SIGKILL')
    assert.ok(endpoint.address.kind === 'socket')
    while (!(await answers(endpoint.address.path))) await sleep(20)
    assert.notEqual(Number(await readFile(join(dataFolder, 'redis', 'redis.pid'), 'utf8')), pidBefore)
    await endpoint.release()
    assert.equal(await answers(endpoint.address.path), false)
  })
})

test('a damaged append-only file is put aside: the queues are filled from the spool', { skip }, async () => {
  await withFolder(async (dataFolder) => {
    const first = await ensureRedis({ dataFolder, redisUrl: '', log })
    const client = await connectOnce(first.address, 'test', 2000)
    for (let at = 0; at < 50; at++) await client.set(`key${at}`, 'x'.repeat(100))
    client.disconnect()
    await first.release()
    const folder = join(dataFolder, 'redis', 'appendonlydir')
    for (const name of await readdir(folder)) {
      if (name.endsWith('.incr.aof')) await writeFile(join(folder, name), `*3\r\n$broken\r\n${'x'.repeat(5000)}`)
    }
    const second = await ensureRedis({ dataFolder, redisUrl: '', log })
    assert.ok((await readdir(join(dataFolder, 'redis'))).some((name) => name.startsWith('appendonlydir.damaged-')))
    await second.release()
  })
})

test('a data folder with a long path still gets a socket, always the same one', { skip }, async () => {
  await withFolder(async (folder) => {
    const dataFolder = join(folder, 'x'.repeat(120))
    const endpoint = await ensureRedis({ dataFolder, redisUrl: '', log })
    assert.ok(endpoint.address.kind === 'socket')
    assert.ok(Buffer.byteLength(endpoint.address.path) <= 100)
    assert.equal(endpoint.address.path, socketPathOf(join(dataFolder, 'redis')))
    await endpoint.release()
  })
})

test('without any Redis the message says how to install one', async () => {
  await withFolder(async (dataFolder) => {
    const starting = ensureRedis({ dataFolder, redisUrl: '', download: false, searchPath: dataFolder, log })
    await assert.rejects(starting, (error: Error) => {
      assert.ok(error instanceof NoRedisError)
      for (const words of [/apt install redis/, /brew install redis/, /apk add redis/])
        assert.match(error.message, words)
      return true
    })
  })
})

test('a given Redis that is away does not keep the mail server from starting', async () => {
  const endpoint = await ensureRedis({ dataFolder: '/nonexistent', redisUrl: 'unix:///nonexistent.sock', log })
  assert.equal(endpoint.kind, 'given')
  await endpoint.release()
})

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-ensure-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
