import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { Reply } from '../mail/reply.ts'
import type { SpooledMessage } from '../spool/spool.ts'
import { createReporter } from './reporter.ts'
import type { StageMessage } from './stage.ts'

const receivedAt = 1_700_000_000_000
const content = Buffer.from('Subject: secret\r\n\r\nthe body\r\n')
const headerBytes = content.indexOf('the body')

/** A message whose sender asked for all of it (RET=FULL). */
function message(): StageMessage {
  const envelope = {
    id: newMessageId(receivedAt),
    reversePath: 'jane@example.org' as Mailbox,
    recipients: [{ mailbox: 'joe@example.net' as Mailbox }],
    tags: [],
    origin: { kind: 'smtp', user: 'jane' },
    receivedAt,
    dsn: { ret: 'full' },
  } as const
  const stored = {
    locator: { headerBytes },
    header: async () => content.subarray(0, headerBytes),
    content: async () => content,
  } as unknown as SpooledMessage
  return { envelope, pending: [0], edits: [], sizeBytes: content.length, attempts: 0, stored }
}

async function reportOf(reply: Reply): Promise<string> {
  const reports: string[] = []
  const events = new Proxy({}, { get: () => () => undefined }) as Events
  const reporter = createReporter({
    configuration: { hostname: 'mx.example.org', queueTtlMs: 1 } as unknown as Configuration,
    events,
    clock: { now: () => receivedAt },
    log: silentLog(),
    submit: async (_envelope, octets) => {
      reports.push(octets.toString())
      return { segment: '', offset: 0, recordBytes: 0, sizeBytes: 0, headerBytes: 0 }
    },
  })
  await reporter.reportFailure(message(), [{ recipient: 0, reply, reached: 'local' }])
  assert.equal(reports.length, 1)
  return reports[0] ?? ''
}

test('who asks for the whole message gets it back, but not what was refused as dangerous', async () => {
  const unknown = await reportOf({ code: 550, enhanced: '5.1.1', text: 'No such user' })
  assert.match(unknown, /the body/)
  const infected = await reportOf({ code: 550, enhanced: '5.7.1', text: 'Message content rejected (virus: Eicar)' })
  assert.match(infected, /virus: Eicar/)
  assert.match(infected, /Subject: secret/)
  assert.doesNotMatch(infected, /the body/)
})
