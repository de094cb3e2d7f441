import assert from 'node:assert/strict'
import { mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { newWriterName } from '../segment-name.ts'
import { ReadCache } from './read-cache.ts'
import { temporaryHost } from './testing.ts'

test('the oldest files go when the limit is reached, and nothing that is not of the cache', async (t) => {
  const path = await temporaryHost(t)
  const cache = await ReadCache.open(path, 1_000)
  const writer = newWriterName('test')
  await mkdir(join(path, 'photos'))
  await writeFile(join(path, 'photos', '000001.msg'), Buffer.alloc(5_000))
  for (const [age, name] of ['000001.msg', '000002.big', '000003.out', '000004.msg'].entries()) {
    await cache.keep(`${writer}/${name}`, [Buffer.alloc(300)])
    await utimes(join(path, writer, name), age, age)
  }
  await cache.trim(Date.now())
  assert.deepEqual(await readdir(join(path, writer)), ['000002.big', '000003.out', '000004.msg'])
  assert.deepEqual(await readdir(join(path, 'photos')), ['000001.msg'])
})

test('a host that was booted begins with an empty cache, a process that starts again does not', async (t) => {
  const path = await temporaryHost(t)
  const file = `${newWriterName('test')}/000001.msg`
  const cache = await ReadCache.open(path, 1_000)
  await cache.keep(file, [Buffer.from('kept')])
  await ReadCache.open(path, 1_000)
  assert.equal(
    await readFile(join(path, file), 'utf8').catch(() => 'gone'),
    process.platform === 'linux' ? 'kept' : 'gone',
  )
  await writeFile(join(path, '.boot'), 'another')
  await writeFile(join(path, 'mine.txt'), 'stays')
  await ReadCache.open(path, 1_000)
  assert.equal(await readFile(join(path, file), 'utf8').catch(() => 'gone'), 'gone')
  assert.equal(await readFile(join(path, 'mine.txt'), 'utf8'), 'stays')
})

test('a fetch that breaks off leaves nothing that could be read', async (t) => {
  const path = await temporaryHost(t)
  const cache = await ReadCache.open(path, 1_000)
  const file = `${newWriterName('test')}/000001.msg`
  const broken = async (): Promise<Readable> =>
    Readable.from(
      (function* () {
        yield Buffer.from('half')
        throw new Error('the line is cut')
      })(),
    )
  await assert.rejects(cache.fetch(file, broken), /the line is cut/)
  assert.deepEqual(
    (await readdir(path)).filter((name) => name !== '.boot'),
    [],
  )
  assert.equal(await cache.fetch(file, async () => undefined), false)
  assert.equal(await cache.fetch(file, async () => Readable.from([Buffer.from('whole')])), true)
  assert.equal(await readFile(join(path, file), 'utf8'), 'whole')
})
