import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLog } from '../../shared/log.ts'
import { openQueues } from '../../shared/queue/queues.ts'
import { redisMissing, startTestRedis } from '../../shared/queue/testing.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { testPipeline } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

const skip = await redisMissing()
const at = { file: '/etc/mail/pipeline.conf', line: 4, column: 1 }
const hourMs = 3_600_000

test('two inbound processes count one client together, and keep out whom an operator bans', { skip }, async (t) => {
  const redis = await startTestRedis()
  const [queues, others] = [0, 1].map(() =>
    openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['relay'], log: silentLog() }),
  )
  assert.ok(queues !== undefined && others !== undefined)
  t.after(async () => {
    await queues.close()
    await others.close()
    await redis.close()
  })
  assert.ok((await queues.ready(30_000)) && (await others.ready(30_000)))
  const rates = [{ at, per: 'client', count: 3, periodMs: hourMs, unit: 'messages' }] as const
  const configuration = { pipeline: { ...testPipeline, rates } }
  const one = await start(t, { configuration, queues })
  const other = await start(t, { configuration, queues: others })
  const mail = ['MAIL FROM:<a@example.net>', '250'] as const
  const rset = ['RSET', '250'] as const
  const client = await connected(t, one)
  await dialogue(client, [mail, rset, mail])
  await one.exchange()
  const neighbour = await connected(t, other)
  await dialogue(neighbour, [mail, rset])
  await other.exchange()
  await dialogue(neighbour, [['MAIL FROM:<b@example.net>', '450 4.7.1']])

  const since = Date.UTC(2026, 10, 21)
  await queues.bans.add({ client: '127.0.0.1', since, until: since + 86_400_000, reason: 'by hand' })
  await other.exchange()
  const refused = await SmtpClient.connect({ port: other.port })
  t.after(() => refused.destroy())
  assert.match((await refused.reply()).raw, /^421 4\.7\.0 Too many errors from your address/)
  await queues.bans.remove('127.0.0.1')
  await other.exchange()
  await connected(t, other)
})
