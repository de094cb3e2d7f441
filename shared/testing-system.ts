import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { loadConfiguration } from './config/load.ts'
import type { Configuration } from './config/model.ts'
import { silentLog } from './log.ts'
import type { MessageId } from './mail/message-id.ts'
import { startTestRedis } from './queue/testing.ts'
import type { TestRedis } from './queue/testing.ts'
import type { ServiceContext } from './service.ts'
import { openSystem } from './system.ts'

/** A system with a real queue and no service: what it accepts waits in the queue `filter`. */
export interface TestSystem {
  readonly redis: TestRedis
  readonly context: ServiceContext
  readonly dataFolder: string
  /** Its configuration, as `mx.example.org`. */
  readonly smtpdConf: string
  close(): Promise<void>
}

const filterAndDeliver = [
  'match tag Filtered from local for local action "mailbox"',
  'match from any for local action "scan"',
]

/**
 * @param rules in place of those that filter what is for this host, and deliver it
 * @param change of what smtpd.conf says
 */
export async function openTestSystem({
  rules = filterAndDeliver,
  change = (read) => read,
}: {
  readonly rules?: readonly string[] | undefined
  readonly change?: (read: Configuration) => Configuration
}): Promise<TestSystem> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-system-'))
  const smtpdConf = join(dataFolder, 'smtpd.conf')
  await writeFile(
    smtpdConf,
    [
      'listen on 127.0.0.1 port 2525',
      'action "scan" relay host "queue://filter"',
      `action "mailbox" maildir "${dataFolder}/mail/%{user.username}"`,
      ...rules,
      '',
    ].join('\n'),
  )
  const { configuration } = await loadConfiguration({ smtpdConf, hostname: 'mx.example.org' })
  const redis = await startTestRedis()
  const system = await openSystem({
    configuration: change(configuration),
    dataFolder,
    redis: redis.endpoint,
    writer: 'test',
    log: silentLog(),
  })
  const { context } = system
  assert.ok(await context.queues.ready(30_000))
  return {
    redis,
    context,
    dataFolder,
    smtpdConf,
    async close() {
      await system.close()
      await redis.close()
      await rm(dataFolder, { recursive: true })
    },
  }
}

/** Resolves when a queue has a job of the message. */
export async function queued({ queues }: ServiceContext, id: MessageId): Promise<void> {
  while ((await queues.jobsOf(id)).length === 0) await new Promise((resolve) => setImmediate(resolve))
}
