import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import type { MessageId } from '../mail/message-id.ts'
import { collectGarbage } from './garbage.ts'
import { LiveIndex } from './live-index.ts'
import type { Locator } from './spool.ts'
import { octets, temporarySpool, writer } from './test-support.ts'

interface Acknowledged {
  readonly id: MessageId
  readonly locator: Locator
  readonly seed: number
  readonly length: number
}

test('everything a killed process had acknowledged is there, and is cleaned up when it is settled', async (t) => {
  const path = await temporarySpool(t)
  const { acknowledged, settled } = await stormUntilKilled(path, 1_500)
  assert.ok(acknowledged.length > 500 && settled.size > 100)

  const spool = await writer(t, path)
  const index = await LiveIndex.open(path, { onDamage: (damage) => assert.fail(JSON.stringify(damage)) })
  const outcomes = await spool.outcomesOf([...settled])
  for (const { id, locator, seed, length } of acknowledged) {
    assert.deepEqual(await (await spool.read(locator)).content(), octets(length, seed))
    if (settled.has(id)) {
      assert.equal(index.get(id), undefined)
      assert.equal(outcomes.get(id)?.length, 1)
    }
  }

  // The clock is ahead of all files, so that nothing is too young to go.
  const clock = { now: () => Date.now() + 10_000 }
  await collectGarbage(index, { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0, clock })

  const again = await LiveIndex.open(path)
  for (const { id, locator, seed, length } of acknowledged) {
    assert.deepEqual(again.get(id), index.get(id))
    if (index.get(id) !== undefined) assert.deepEqual(await (await spool.read(locator)).content(), octets(length, seed))
  }
  assert.equal(again.size, index.size)
  const unused = (await readdir(path, { recursive: true })).filter((file) => file.endsWith('.big'))
  assert.equal(unused.length, [...again.entries()].filter(({ locator }) => locator.sizeBytes > 20_000).length)
})

async function stormUntilKilled(
  path: string,
  lines: number,
): Promise<{ readonly acknowledged: readonly Acknowledged[]; readonly settled: ReadonlySet<MessageId> }> {
  const script = join(import.meta.dirname, 'storm.child.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const acknowledged: Acknowledged[] = []
  const settled = new Set<MessageId>()
  let count = 0
  for await (const line of createInterface({ input: child.stdout })) {
    count += 1
    if (count === lines) child.kill('SIGKILL')
    if (!line.endsWith('}')) continue
    const said = JSON.parse(line) as Acknowledged | { readonly settled: MessageId }
    if ('settled' in said) settled.add(said.settled)
    else acknowledged.push(said)
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
  return { acknowledged, settled }
}
