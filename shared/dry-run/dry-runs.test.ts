import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { loadConfiguration } from '../config/load.ts'
import { newMessageId } from '../mail/message-id.ts'
import { openDryRuns } from './dry-runs.ts'
import type { DryRunQuestion, DryRunState } from './dry-runs.ts'

async function openWithSecrets(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dry-runs-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'secrets'), 'label jane:opensesame\n')
  const table = `table secrets file:${join(folder, 'secrets')}`
  return { folder, open: await open(t, [table, 'action "in" relay host smtp+tls://label@mx.test auth <secrets>']) }
}

async function open(t: TestContext, more: readonly string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dry-runs-'))
  t.after(() => rm(folder, { recursive: true }))
  const place = join(folder, 'smtpd.conf')
  const text = [
    'listen on 127.0.0.1 port 2525',
    `table people file:${join(folder, 'people')}`,
    ...more,
    'action "out" relay',
    'match from any for domain <people> action "out"',
    '',
  ].join('\n')
  await writeFile(join(folder, 'people'), 'a.test\n')
  await writeFile(join(folder, 'secret'), 'b.test\n')
  await writeFile(place, text)
  await mkdir(join(folder, 'events'))
  const at = Date.now()
  const id = newMessageId(at)
  const to = ['joe@a.test']
  const client = { listener: '127.0.0.1:2525', address: '198.51.100.7', helo: 'mx.remote.test', rdns: null }
  const story = [
    { at, event: 'received', id, from: 'bob@remote.test', to, sizeBytes: 1, ...client },
    { at, event: 'routed', id, to, rcpt: [0], rule: 'smtpd.conf:4', queue: 'relay', action: 'out', tags: [] },
    { at, event: 'relayed', id, recipient: to[0], rcpt: 0, stage: 'relay', action: 'out' },
  ]
  await writeFile(
    join(folder, 'events', 'test-1-1-0.ndjson'),
    story.map((line) => `${JSON.stringify(line)}\n`).join(''),
  )
  const origin = { smtpdConf: place, hostname: 'mx.example.org' }
  const { texts } = await loadConfiguration(origin)
  const runs = openDryRuns({ live: { texts, origin }, folder: join(folder, 'events'), clock: { now: Date.now } })
  t.after(() => runs.close())
  const attempt = async (question: Partial<DryRunQuestion>): Promise<DryRunState['outcome'] | undefined> => {
    runs.begin({ thresholds: {}, days: 3, ...question }, 'ada')
    await runs.settled()
    return runs.state?.outcome
  }
  return { runs, text, folder, attempt, id }
}

test('a changed text is tried on what was recorded, in a thread, and nothing on disk changes', async (t) => {
  const { runs, text, attempt, id } = await open(t)
  assert.equal(runs.texts()?.smtpdConf.text, text)
  assert.equal(runs.texts()?.pipelineConf.text, '')
  const same = await attempt({})
  assert.ok(same?.kind === 'done')
  assert.deepEqual([same.found.messages, same.found.unchanged, same.found.changed], [1, 1, 0])
  const changed = await attempt({ smtpdConf: text.replace('for domain <people>', 'for domain "c.test"') })
  assert.ok(changed?.kind === 'done', JSON.stringify(changed))
  assert.equal(changed.found.changed, 1)
  assert.equal(changed.found.changes[0]?.examples[0]?.id, id)
  assert.equal(runs.state?.messages, 1)
})

test('what is no configuration is told with its line; what the one in force does not read is neither read nor asked', async (t) => {
  const { text, attempt, folder } = await open(t)
  const wrong = await attempt({ smtpdConf: `${text}match nonsense\n` })
  assert.ok(wrong?.kind === 'refused')
  assert.match(wrong.reason, /smtpd\.conf:5/)
  const secret = join(folder, 'secret')
  const rows: readonly (readonly [string, RegExp])[] = [
    [`include "${secret}"\n${text}`, /is not a file of the configuration in force/],
    [
      `${text}table other file:${secret}\nmatch from any for domain <other> action "out"\n`,
      /not a file of|tables that the configuration in force does not have/,
    ],
    [
      `${text}table program proc:touch\nmatch from any for domain <program> action "out"\n`,
      /proc|tables that the configuration in force/,
    ],
  ]
  for (const [smtpdConf, message] of rows) {
    const answer = await attempt({ smtpdConf })
    assert.ok(answer?.kind === 'refused', `${smtpdConf} ${JSON.stringify(answer)}`)
    assert.match(answer.reason, message)
    assert.doesNotMatch(answer.reason, /b\.test/)
  }
})

test('what tables hold is not told, whatever they are taken for', async (t) => {
  const { folder, open: again } = await openWithSecrets(t)
  const { text, attempt } = again
  const secrets = join(folder, 'secrets')
  const files: readonly Partial<DryRunQuestion>[] = [
    { smtpdConf: `include "${secrets}"\n${text}` },
    { smtpdConf: text, pipelineConf: `include "${secrets}"\n` },
    { smtpdConf: `${text}table again ldap:${secrets}\n` },
    { smtpdConf: text, pipelineConf: 'restrict rcpt check sender <secrets>\n' },
  ]
  for (const question of files) {
    const answer = await attempt(question)
    assert.ok(answer?.kind === 'refused' || answer?.kind === 'done', JSON.stringify(answer))
    assert.doesNotMatch(JSON.stringify(answer), /opensesame/, JSON.stringify(question))
  }
  const absent = await attempt({ smtpdConf: `${text}pki p cert "${join(folder, 'secret_')}"\n` })
  assert.doesNotMatch(JSON.stringify(absent), /is not there|meant/)
})

test('one runs at a time, and can be cancelled', async (t) => {
  const { runs } = await open(t)
  assert.equal(runs.cancel(), false)
  runs.begin({ thresholds: {}, days: 3 }, 'ada')
  assert.throws(() => runs.begin({ thresholds: {}, days: 3 }, 'olga'), /another dry run is under way/)
  assert.equal(runs.cancel(), true)
  await runs.settled()
  assert.equal(runs.state?.outcome.kind, 'cancelled')
})
