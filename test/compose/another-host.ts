import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'

import { type Finished, run } from '../support/process.ts'

/** A host that reaches this one by a cable of its own: a network namespace of Linux. Wants root. */
export interface AnotherHost {
  readonly address: string
  /** Ours, at the other end of the cable. */
  readonly reaches: string
  /** Runs a program there, to its end. */
  run(command: string, ...words: readonly string[]): Promise<Finished>
  remove(): Promise<void>
}

export async function startAnotherHost(): Promise<AnotherHost> {
  const name = `sluice-${randomBytes(3).toString('hex')}`
  // Networks for measurements (RFC 2544): nobody else has them.
  const network = `198.18.${randomInt(256)}`
  const [address, reaches] = [`${network}.2`, `${network}.1`]
  const there = ['netns', 'exec', name]
  await ip('netns', 'add', name)
  await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  await ip('addr', 'add', `${reaches}/24`, 'dev', name)
  await ip('link', 'set', name, 'up')
  await ip(...there, 'ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0')
  await ip(...there, 'ip', 'link', 'set', 'eth0', 'up')
  return {
    address,
    reaches,
    run: (command, ...words) => run('ip', [...there, command, ...words], { timeoutMs: 120_000 }),
    // The cable goes with it.
    remove: () => ip('netns', 'del', name),
  }
}

async function ip(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await run('ip', words)
  assert.equal(code, 0, `ip ${words.join(' ')}\n${stderr}`)
}
