import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ArcResult } from '../../../shared/dkim/arc.ts'
import { overriddenByArc, sawDmarcPass } from './arc-override.ts'
import type { DmarcResult } from './dmarc.ts'

test('a pass of DMARC is read among the results of a sealer, for the author alone', () => {
  for (const results of [
    'lists.example; dmarc=pass header.from=north.example',
    'lists.example; spf=fail; DMARC = Pass (p=reject) Header.From="North.Example"; arc=none',
    'lists.example 1; dkim=pass header.i="@a;b"; dmarc=pass',
    'lists.example; dmarc=pass policy.dmarc=none (a \\) b) header.from=north.example',
  ])
    assert.equal(sawDmarcPass(results, 'north.example'), true, results)
  for (const results of [
    '',
    'dmarc=pass',
    'lists.example; dmarc=fail header.from=north.example',
    'lists.example; dmarc=passed',
    'lists.example; dmarc=pass header.from=south.example',
    'lists.example; spf=fail (; dmarc=pass)',
    'lists.example; spf=fail smtp.mailfrom="; dmarc=pass"',
    'lists.example; x-dmarc=pass',
    'dmarc=pass; spf=fail',
  ])
    assert.equal(sawDmarcPass(results, 'north.example'), false, results)
})

const dmarc: DmarcResult = { result: 'fail', domain: 'north.example', policy: 'reject', disposition: 'reject' }
const arc: ArcResult = { result: 'pass', instances: 1, sealer: 'Lists.example', results: 'lists.example; dmarc=pass' }

test('a chain that holds and whose sealer is trusted lifts the policy, and nothing else does', async () => {
  const trusts = async (sealer: string): Promise<boolean> => sealer === 'lists.example'
  assert.deepEqual(await overriddenByArc(dmarc, arc, trusts), {
    ...dmarc,
    disposition: 'none',
    overriddenBy: 'Lists.example',
  })
  const none: ArcResult = { result: 'none', instances: 0 }
  for (const other of [
    none,
    { ...arc, result: 'fail' },
    { ...arc, result: 'temperror' },
    { ...arc, sealer: 'evil.example' },
    { ...arc, results: 'lists.example; dmarc=fail' },
  ] as const)
    assert.equal(await overriddenByArc(dmarc, other, trusts), dmarc)
  const passed: DmarcResult = { ...dmarc, result: 'pass', disposition: 'none' }
  assert.equal(await overriddenByArc(passed, arc, trusts), passed)
})

test('a table that cannot be asked is no answer', async () => {
  await assert.rejects(
    overriddenByArc(dmarc, arc, () => Promise.reject(new Error('away'))),
    /away/,
  )
})
