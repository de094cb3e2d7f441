import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { EnginePolicy } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { Engine } from './engine.ts'
import { enginesFor } from './engine-policy.ts'
import { gtube } from './gtube.ts'
import { openFilter } from './index.ts'
import type { EngineSettings } from './run-engines.ts'
import { listTable, stageMessage, stranger, testContext, testEnvelope, zoneResolver } from './testing.ts'
import type { TestSettings } from './testing.ts'

const tables = openTables()
const user = { kind: 'smtp', address: '10.1.2.3', helo: 'laptop', user: 'jane' } as const

function engine(name: string, role: EngineSettings['role']): EngineSettings {
  const made = { name, applies: () => true, scan: async () => assert.fail(), close: async () => {} } satisfies Engine
  return { engine: made, role, weight: 1, timeoutMs: 1, onFailure: 'proceed' }
}

const all = [
  engine('authentication', 'authentication'),
  engine('gtube', 'spam'),
  engine('classifier', 'spam'),
  engine('lists', 'spam'),
  engine('banned', 'danger'),
  engine('clamd', 'danger'),
]

test('a policy names who looks at mail of its tag or network; the first that fits holds; other mail is looked at as ever', () => {
  const policies: readonly EnginePolicy[] = [
    { for: { kind: 'tag', tag: 'ORIGINATING' }, engines: ['virus', 'builtin'] },
    { for: { kind: 'src', table: listTable('10.0.0.0/8') }, engines: [] },
  ]
  const names = (tags: readonly string[], address: string): readonly string[] => {
    const envelope = { ...testEnvelope({ ...stranger, address }), tags: tags.map(tag) }
    return enginesFor(policies, all, envelope, tables).map(({ engine }) => engine.name)
  }
  assert.deepEqual(names(['Originating'], '10.1.1.1'), ['authentication', 'gtube', 'classifier', 'clamd'])
  assert.deepEqual(names([], '10.1.1.1'), ['authentication'])
  assert.deepEqual(names([], '192.0.2.1').length, all.length)
})

async function verdictOf(settings: TestSettings, tags: readonly string[], origin = user): Promise<string> {
  const { context, events } = testContext(zoneResolver({}), settings)
  const stage = await openFilter(context, 1)
  const content = Buffer.from(`From: jane@example.org\r\nSubject: x\r\n\r\n${gtube}\r\n`)
  const message = { ...stageMessage(content, { ...testEnvelope(origin), tags: tags.map(tag) }), pending: [0] }
  const disposition = await stage.handle(message, context)
  await stage.close()
  return `${disposition.kind} ${(events[0] as { readonly verdict: string }).verdict}`
}

test('mail of own users is not searched for spam, unless a policy of its tag says so, with thresholds of its own', async () => {
  const enginePolicies = [{ for: { kind: 'tag', tag: 'ORIGINATING' }, engines: ['builtin'] }] as const
  const spam: TestSettings['spam'] = {
    junk: 5,
    policies: [{ for: { kind: 'tag', tag: 'ORIGINATING' }, junk: 'never', reject: 10 }],
  }
  assert.equal(await verdictOf({ spam }, ['ORIGINATING']), 'pass clean')
  assert.equal(await verdictOf({ spam, enginePolicies }, ['ORIGINATING']), 'reject reject')
  assert.equal(await verdictOf({ spam, enginePolicies }, []), 'pass clean')
})
