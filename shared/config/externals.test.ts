import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { externalOf } from './externals.ts'
import { loadConfiguration, type LoadedConfiguration } from './load.ts'
import { queueOfRelay } from './return-tags.ts'

const folder = mkdtempSync(join(tmpdir(), 'externals-'))
after(() => rmSync(folder, { recursive: true }))

const back = ['listen on lo port 10025 tag Filtered', 'listen on lo port 10027 tag Signed']
const rules = [
  'accept tagged Filtered for any deliver to lmtp "127.0.0.1:24"',
  'accept from any for domain "exem.pl" relay via "smtp://localhost:10024"',
  'accept tagged Signed for any relay',
  'accept for any relay via "smtp://localhost:10026"',
]
const both = [
  'external "smtp://localhost:10024" is "amavis:10024"',
  'external "smtp://localhost:10026" is "amavis:10026"',
]

function load(smtpd: readonly string[], pipeline: readonly string[]): Promise<LoadedConfiguration> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, `${smtpd.join('\n')}\n`)
  writeFileSync(paths.pipelineConf, `users from any\n${pipeline.join('\n')}\n`)
  return loadConfiguration({ ...paths, hostname: 'mail.exem.pl' })
}

const codes = ({ warnings }: LoadedConfiguration): readonly string[] =>
  warnings.map(({ code, span }) => `${code}@${span.line}`)

test('an external filter takes the place of the queue, and its listener is one', async () => {
  const internal = await load([...back, ...rules], [])
  assert.deepEqual(internal.configuration.listeners, [])
  const loaded = await load([...back, ...rules], both)
  assert.deepEqual(
    loaded.configuration.listeners.map(({ port, tag }) => [port, tag]),
    [
      [10_025, 'Filtered'],
      [10_027, 'Signed'],
    ],
  )
  const { queues, externals } = loaded.configuration.pipeline
  assert.equal(queueOfRelay(queues, 'smtp://localhost:10024'), undefined)
  assert.equal(queueOfRelay(queues, 'queue://filter')?.name, 'filter')
  assert.equal(externalOf(externals, 'smtp://127.0.0.1:10026')?.host, 'amavis')
  assert.equal(externalOf(externals, 'smtp://amavis:10026'), undefined)
  assert.deepEqual(codes(loaded), [])
})

test('one of the two may stay a queue', async () => {
  const { configuration } = await load([...back, ...rules], both.slice(0, 1))
  assert.deepEqual(
    configuration.listeners.map(({ port }) => port),
    [10_025],
  )
  assert.equal(queueOfRelay(configuration.pipeline.queues, 'smtp://localhost:10026')?.tag, 'Signed')
})

test('an order of rules that goes round through an external filter is told', async () => {
  const [deliver = '', scan = '', ...others] = rules
  assert.deepEqual(codes(await load([...back, scan, deliver, ...others], both)), ['loop@3'])
})

test('what cannot work is told', async () => {
  assert.deepEqual(codes(await load(rules, both)), ['incomplete@2', 'incomplete@3'])
  const unused = ['external "smtp://localhost:10030" is "amavis:10030"']
  assert.deepEqual(codes(await load([...back, ...rules], unused)), ['no-effect@2'])
  const closed = [...both, 'interface lo is "10.77.0.5"']
  assert.deepEqual(codes(await load([...back, ...rules], closed)), ['incomplete@1', 'incomplete@2'])
  assert.deepEqual(codes(await load([...back, ...rules], [...both, 'interface lo is "10.77.0.0/24"'])), [])
})

test('proxy-v2 needs to know whom to believe', async () => {
  const smtpd = ['listen on lo proxy-v2', 'action "out" relay', 'match for any action "out"']
  await assert.rejects(load(smtpd, []), /no balancer is named/)
  const { configuration } = await load(smtpd, ['trusted proxy 10.0.0.0/8'])
  assert.equal(configuration.listeners[0]?.proxy, true)
})
