import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Lanes } from './model.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()

async function lanesOf(...pipeline: readonly string[]): Promise<Lanes> {
  return (await load(...pipeline)).lanes
}

const backOff = { firstMs: 30_000, longestMs: 1_800_000 }

test('a destination that asks for less is left alone for 30 s, up to 30 minutes, unless something else is written', async () => {
  assert.deepEqual(await lanesOf(), { default: { backOff }, mx: new Map(), domains: new Map() })
  assert.deepEqual((await lanesOf('lane default back-off 1m to 2h')).default, {
    backOff: { firstMs: 60_000, longestMs: 7_200_000 },
  })
  assert.deepEqual((await lanesOf('lane default back-off off')).default, { backOff: 'off' })
})

test('rates and the back-off of one destination add up, and the destination is written in any case', async () => {
  const { domains } = await lanesOf(
    'lane "Example.ORG" rate 100/1m messages rate 500/1h recipients',
    'lane "example.org" back-off off',
    'lane "exämple.org" rate "1/1s" messages',
  )
  assert.deepEqual(
    domains,
    new Map([
      [
        'example.org',
        {
          messages: { count: 100, periodMs: 60_000 },
          recipients: { count: 500, periodMs: 3_600_000 },
          backOff: 'off' as const,
        },
      ],
      ['xn--exmple-cua.org', { messages: { count: 1, periodMs: 1_000 } }],
    ]),
  )
})

test('domains are put into one lane by the names of their mail servers, the first pattern first', async () => {
  const { mx, domains } = await lanesOf(
    'lane mx "*.Protection.example" concurrency 5 rate 100/1m recipients',
    'lane mx "mx.example.net" back-off off',
    'lane mx "*.protection.example" rate 10/1s messages',
    'lane "mx" concurrency 2',
  )
  assert.deepEqual(
    [...mx],
    [
      [
        '*.protection.example',
        {
          concurrency: 5,
          recipients: { count: 100, periodMs: 60_000 },
          messages: { count: 10, periodMs: 1_000 },
        },
      ],
      ['mx.example.net', { backOff: 'off' }],
    ],
  )
  assert.deepEqual([...domains], [['mx', { concurrency: 2 }]], 'in quotes it is a name')
})

test('what cannot be meant is refused with what to write', async () => {
  const faults: readonly (readonly [string, RegExp])[] = [
    ['lane', /a destination|a domain or a smarthost/],
    ['lane "example.org"', /an option of the lane/],
    ['lane "*.example.org" back-off off', /no destination/],
    ['lane "example.org" rate 100 messages', /not a rate/],
    ['lane "example.org" rate 100/1m', /what is counted/],
    ['lane "example.org" rate 100/1m connections', /what is counted/],
    ['lane "example.org" rate 1/1m messages rate 2/1m messages', /stated already/],
    ['lane "a.org" rate 1/1m messages\nlane "A.org" rate 2/1m messages', /stated already/],
    ['lane mx concurrency 5', /an option of the lane/],
    ['lane mx "mx*.example.org" concurrency 5', /no name of mail servers/],
    ['lane mx "*." concurrency 5', /no name of mail servers/],
    ['lane default concurrency 0', /concurrency|at least 1|not 0/],
    ['lane default concurrency 1 concurrency 2', /stated already|twice/],
    ['lane default back-off off\nlane default back-off off', /stated already/],
    ['lane default back-off 30s', /longest pause/],
    ['lane default back-off 30m to 30s', /shorter than the first/],
    ['lane default back-off 1m to 2d', /12 hours/],
    ['lane default back-off 0s to 1m', /must be a duration/],
  ]
  for (const [text, fault] of faults) await assert.rejects(lanesOf(text), fault, text)
})
