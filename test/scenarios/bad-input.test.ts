import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem, type MailSystemOptions } from '../support/mail-system.ts'
import { missingPeers } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { tempFolder } from '../support/temp-folder.ts'

const site: MailSystemOptions = { conf: standardConf(), pipeline: standardPipeline() }

const mistakes: readonly {
  readonly name: string
  readonly conf?: string
  readonly pipeline?: string
  readonly args?: readonly string[]
  readonly code: number
  readonly says: readonly RegExp[]
}[] = [
  {
    name: 'a word that smtpd.conf does not know',
    conf: 'listen on 127.0.0.1 port {{smtp}}\naction "in" maildri\nmatch from any for any action "in"\n',
    code: 78,
    says: [/smtpd\.conf:2:13/, /maildri/, /\^/],
  },
  {
    name: 'a rule with an action that is not there',
    conf: 'listen on 127.0.0.1 port {{smtp}}\nmatch from any for any action "nowhere"\n',
    code: 78,
    says: [/smtpd\.conf:2:\d+/, /nowhere/],
  },
  {
    name: 'an unfinished string',
    conf: 'listen on 127.0.0.1 port {{smtp}}\naction "in maildir\n',
    code: 78,
    says: [/smtpd\.conf:2:8/],
  },
  {
    name: 'a mistake in pipeline.conf',
    pipeline: 'queue "filter" tag Filtered\nqueue "filter" concurrency many\ndashboard listen "127.0.0.1:{{http}}"\n',
    code: 78,
    says: [/pipeline\.conf:2:\d+/, /many/],
  },
  {
    name: 'a certificate that is not there',
    conf: standardConf().replace('server.pem', 'missing.pem'),
    code: 78,
    says: [/missing\.pem/],
  },
  { name: 'a service that does not exist', args: ['fliter'], code: 1, says: [/fliter/, /filter/] },
  { name: 'an option that does not exist', args: ['--frobnicate'], code: 1, says: [/frobnicate/] },
]

for (const { name, conf = site.conf, pipeline = site.pipeline ?? '', args = [], code, says } of mistakes) {
  test(`${name} ends the start with one clear message`, async () => {
    const refused = await MailSystem.refusal({ conf, pipeline }, args)
    assert.equal(refused.exit.code, code, refused.text)
    for (const pattern of says) assert.match(refused.text, pattern)
    assertNoStackTrace(refused.text)
  })
}

test('-n checks the configuration and starts nothing', async () => {
  const checked = await MailSystem.refusal(site, ['-n'])
  assert.equal(checked.exit.code, 0, checked.text)
  assert.doesNotMatch(checked.text, /"ready"/)
})

test('a port in use is named', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  atEnd(t, () => other.close())
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const refused = await MailSystem.refusal({ ...site, conf: standardConf().replace('{{smtp}}', `${port}`) })
  assertOneLine(refused, 1, new RegExp(`127\\.0\\.0\\.1 port ${port}: the address is in use`))
})

test('a data folder that cannot be written is named', async (t) => {
  const folder = await tempFolder('readonly')
  atEnd(t, () => folder.remove())
  const blocked = `${folder.path}/file-in-the-way`
  // Root may write everywhere, but not below a file.
  await writeFile(blocked, '')
  const refused = await MailSystem.refusal({ ...site, dataFolder: `${blocked}/data` })
  assertOneLine(refused, 1, /file-in-the-way/)
})

test('a second start on the same data folder is refused', async (t) => {
  const system = await MailSystem.start({ ...site, services: 'embedded' })
  atEnd(t, () => system.stop())
  const refused = await MailSystem.refusal({ ...site, dataFolder: system.dataFolder })
  assertOneLine(refused, 1, /in use/)
})

test(
  'a Redis that may evict jobs is refused with the command that mends it',
  {
    skip: missingPeers('redis-server'),
  },
  async (t) => {
    const redis = await startRedis(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    atEnd(t, () => redis.close())
    const refused = await MailSystem.refusal({ ...site, redisUrl: redis.url })
    assert.equal(refused.exit.code, 1, refused.text)
    assert.match(refused.text, /allkeys-lru/)
    assert.match(refused.text, /config set maxmemory-policy noeviction/i)
    assertNoStackTrace(refused.text)
  },
)

function assertOneLine(
  refused: {
    readonly exit: { readonly code: number | null }
    readonly text: string
    readonly lines: readonly string[]
  },
  code: number,
  says: RegExp,
): void {
  assert.equal(refused.exit.code, code, refused.text)
  const said = refused.lines.filter((line) => line !== '' && !line.startsWith('{'))
  assert.equal(said.length, 1, refused.text)
  assert.match(said[0] ?? '', says)
  assertNoStackTrace(refused.text)
}

function assertNoStackTrace(text: string): void {
  assert.doesNotMatch(text, /^\s+at .*:\d+:\d+\)?$/m)
}
