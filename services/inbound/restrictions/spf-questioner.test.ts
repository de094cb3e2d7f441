import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../../../shared/mail/address.ts'
import { silentLog } from '../../../shared/log.ts'
import type { Question } from '../../../shared/restrictions/question.ts'
import { zoneResolver } from '../../../shared/restrictions/testing.ts'
import { spfQuestioner } from './spf-questioner.ts'

const question = {
  client: { address: '192.0.2.7' },
  sender: { text: 'jane@example.org', mailbox: 'jane@example.org' as Mailbox },
} as Question

test('who is not answered in time has proved nothing, and the log says so', async () => {
  const silent = { ...zoneResolver({}), txt: () => new Promise<never>(() => {}) }
  const warned: string[] = []
  const log = { ...silentLog(), warn: ({ err }: { err: Error }) => void warned.push(err.message) } as never
  const passes = spfQuestioner({ resolver: silent, clock: { now: () => 0 }, hostname: 'mx', limitMs: 5, log })
  assert.equal(await passes(question), false)
  assert.deepEqual(warned, ['no answer within 0.005 s'])
})
