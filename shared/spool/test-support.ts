import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { openSpool } from './file-spool.ts'
import type { FileSpool, SpoolOptions } from './file-spool.ts'
import type { OutcomeRecord, StoredMessage } from './spool.ts'

/** For the tests of this folder: a spool folder that goes with the test. */
export async function temporarySpool(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-spool-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A writer in that folder, closed with the test. */
export async function writer(t: TestContext, path: string, options: Partial<SpoolOptions> = {}): Promise<FileSpool> {
  const spool = await openSpool({ path, writer: 'test', reserveBytes: 0, ...options })
  t.after(() => spool.close())
  return spool
}

export function storedMessage(recipients = 1, id: MessageId = newMessageId(Date.now())): StoredMessage {
  return {
    envelope: {
      id,
      reversePath: null,
      recipients: Array.from({ length: recipients }, (_, index) => ({ mailbox: `r${index}@example.org` as Mailbox })),
      tags: [],
      origin: { kind: 'local' },
      receivedAt: Date.now(),
    },
    edits: [{ kind: 'prepend', fields: 'Received: by mx.example.org\r\n' }],
    revision: 'r1',
  }
}

export function outcome(
  id: MessageId,
  recipient = 0,
  kind: OutcomeRecord['kind'] = 'delivered',
  at = Date.now(),
): OutcomeRecord {
  return { id, recipient, kind, stage: 'deliver', at, reply: { code: 250, enhanced: '2.0.0', text: 'ok' } }
}

/** Octets that repeat themselves nowhere in the reach of a test. */
export function octets(length: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(length)
  let state = seed >>> 0
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    buffer[index] = state >>> 24
  }
  return buffer
}
