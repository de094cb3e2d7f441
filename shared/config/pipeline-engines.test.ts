import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { pipelineLoader } from './testing.ts'

const load = pipelineLoader()

const clamd = 'virus clamd "127.0.0.1:3310"'

test('engines, thresholds and actions are stated for a tag, for networks, for a recipient', async () => {
  const { enginePolicies, spam, virus } = await load(
    'table nets { 10.0.0.0/8 }',
    'engines for tag ORIGINATING virus, builtin',
    'engines for src <nets> none',
    clamd,
    'virus for tag ORIGINATING infected reject',
    'spam for recipient { "jane@example.org" } junk 2',
    'spam blocked mail-from { "@spam.example" }',
    'spam blocked rcpt-to { "trap@example.org" }',
    'spam blocked <nets>',
  )
  assert.deepEqual(
    enginePolicies.map((policy) => [policy.for.kind, policy.engines]),
    [
      ['tag', ['virus', 'builtin']],
      ['src', []],
    ],
  )
  assert.deepEqual(virus?.policies, [{ tag: 'ORIGINATING', infected: 'reject' }])
  assert.deepEqual(
    spam.blocked.map(({ kind }) => kind),
    ['mail-from', 'rcpt-to', 'src'],
  )
  assert.deepEqual([spam.policies[0]?.for.kind, spam.policies[0]?.junk], ['recipient', 2])
})

test('an engine that is not there, or words that mean nothing, are refused with what to write', async () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['engines for tag A virus', /"virus" is to look at mail[^]*hint: add: virus clamd/],
    ['engines for tag A rspamd', /hint: add: spam engine rspamd/],
    ['spam engine rspamd "http://h:1"\nengines for tag A builtin', /hint: add: spam engine builtin/],
    ['engines for tag A lists', /hint: add: spam list client/],
    ['engines for tag A banned', /hint: add: banned files/],
    ['engines for tag A clamav', /an engine, or none/],
    ['engines for tag A', /an engine, or none/],
    ['engines for domain x virus', /whose mail it is for/],
    ['engines virus', /for/],
    ['spam blocked', /whose mail is spam/],
    ['virus for tag A infected reject', /nobody looks for viruses so far[^]*virus clamd/],
    [`${clamd}\n${clamd}`, /"virus clamd" is stated already/],
    [`${clamd}\nvirus for tag A infected burn`, /what to do/],
  ]
  for (const [lines, told] of rows)
    await assert.rejects(load(lines), (error) => error instanceof ConfigurationError && told.test(error.message), lines)
})
