import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { silentLog } from '../../shared/log.ts'
import { openQueues } from '../../shared/queue/queues.ts'
import { parseRedisUrl } from '../../shared/queue/redis-address.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { missingPeers } from '../support/peer.ts'
import { startCluster, startPartedCluster, startSentinels, type RedisGroup } from '../support/redis-groups.ts'
import { sendStorm } from '../support/storm.ts'
import { tempFolder } from '../support/temp-folder.ts'

const skip = missingPeers('redis-server')
const messages = 600

test(
  'the primary that Sentinels watch dies in a storm: its replica takes over, each message arrives once',
  { skip },
  async (t) => {
    const group = await startSentinels()
    atEnd(t, () => group.stop())
    const secrets = await tempFolder('secrets')
    atEnd(t, () => secrets.remove())
    const file = join(secrets.path, 'sentinels')
    await writeFile(file, group.sentinelPassword)
    // In the environment the password of Redis may stand in the URL; that of the Sentinels has a file.
    const line = `redis "${group.url.replace(/:[^@/]+@/, '')}" sentinel password file "${file}"`
    await survives(t, group, line)
  },
)

test(
  'the node of a Cluster that has the queues dies in a storm: its replica takes over, each message arrives once',
  { skip },
  async (t) => {
    const group = await startCluster('{sluice}')
    atEnd(t, () => group.stop())
    await survives(t, group)
  },
)

test('a node that is cut off from its Cluster is not believed when it names itself', { skip }, async (t) => {
  const group = await startPartedCluster()
  atEnd(t, () => group.stop())
  const endpoint = { address: parseRedisUrl(group.url), kind: 'given', release: async () => undefined } as const
  const queues = openQueues({ endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
  atEnd(t, () => queues.close())
  assert.ok(await queues.ready(30_000))
  assert.equal((await queues.counts()).get('filter')?.waiting, 0)
})

test('connections find their way again after all nodes of a Cluster were away', { skip }, async (t) => {
  const group = await startPartedCluster()
  atEnd(t, () => group.stop())
  await group.halt()
  const endpoint = { address: parseRedisUrl(group.url), kind: 'given', release: async () => undefined } as const
  const queues = openQueues({ endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
  atEnd(t, () => queues.close())
  await assert.rejects(queues.counts())
  await group.resume()
  assert.ok(await queues.ready(120_000))
  await group.halt()
  await assert.rejects(queues.counts())
  await group.resume()
  assert.ok(await queues.ready(120_000))
})

async function survives(t: TestContext, group: RedisGroup, line = ''): Promise<void> {
  const sink = await startMailSink({ protocol: 'lmtp', keep: 'digest' })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: standardConf({
      deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>`,
      more: 'smtp limit max-mails 100000',
    }),
    pipeline: standardPipeline(line),
    redisUrl: group.url,
  })
  atEnd(t, () => system.stop())
  const storm = sendStorm({ port: system.port('smtp'), messages, bytes: 1000 })
  storm.catch(() => undefined)
  await sink.waitForDistinct(messages / 4, 300_000)
  await group.failOver()
  const { sent } = await storm
  await sink.waitForDistinct(messages, 300_000)
  await system.waitForEmptyQueues()
  await system.waitForBalance()
  for (const message of sink.messages) assert.equal(message.bodySha256, sent.get(message.id), message.id)
  assert.equal(
    sink.messages.length,
    messages,
    'a job that the replica had not heard of, or not of its end, repeats nothing',
  )
}
