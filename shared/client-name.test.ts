import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LookUp, Resolver } from './resolver.ts'
import { findClientName } from './client-name.ts'

const absent = { kind: 'absent', name: true } as const
const failed = { kind: 'failed', error: new Error('SERVFAIL') } as const

function resolver(pointers: LookUp<string>, forward: Readonly<Record<string, LookUp<string>>>): Resolver {
  const look = (name: string) => Promise.resolve(forward[name] ?? absent)
  return { ptr: () => Promise.resolve(pointers), a: look, aaaa: look } as unknown as Resolver
}

function found(...records: readonly string[]): LookUp<string> {
  return { kind: 'found', records }
}

test('a name is verified only when it points back, and unknown is never taken for wrong', async () => {
  const address = '192.0.2.1'
  const cases = [
    [found('Mx.Example.net.'), { 'mx.example.net': found(address) }, { name: 'mx.example.net', forward: 'pass' }],
    [found('a.test', 'b.test'), { 'b.test': found(address) }, { name: 'b.test', forward: 'pass' }],
    [found('a.test', 'b.test'), { 'b.test': found('192.0.2.2') }, { name: 'a.test', forward: 'fail' }],
    [found('a.test', 'b.test'), { 'a.test': failed }, { name: 'a.test', forward: 'error' }],
    [found('a b', '192.0.2.1 x'), {}, { forward: 'fail' }],
    [absent, {}, { forward: 'fail' }],
    [failed, {}, { forward: 'error' }],
  ] as const
  for (const [pointers, forward, expected] of cases)
    assert.deepEqual(await findClientName(resolver(pointers, forward), address), expected)
  assert.deepEqual(await findClientName(resolver(failed, {}), '127.0.0.1'), { name: 'localhost', forward: 'pass' })
})
