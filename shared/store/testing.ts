import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'

import type { JournalEntry } from '../journal.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { readSqlite, writeSqlite } from './sqlite-store.ts'
import type { ReadableStore, WritableStore } from './store-database.ts'
import type { StorePlace } from './store-place.ts'
import { StoreReader } from './store-reader.ts'
import { StoreWriter } from './store-writer.ts'

export const testedAt = Date.UTC(2026, 10, 21, 12)

/** A folder with a journal that the test writes, and the store of it. */
export interface TestStore {
  readonly folder: string
  readonly writer: StoreWriter
  readonly warnings: readonly string[]
  /** Writes lines of a process; nothing is in the store before `catchUp`. */
  write(entries: readonly JournalEntry[], file?: string): Promise<void>
  catchUp(): Promise<void>
  /** Opens the store anew, as after a crash: the old one is left as it is. */
  crash(): Promise<void>
  /** Closed when the test ends. */
  reader(): Promise<StoreReader>
  /** All rows, with names in place of numbers. */
  messages(): Promise<readonly unknown[]>
  copies(): Promise<readonly unknown[]>
}

/** How a store is opened in one of the databases. */
export interface StoreMaker {
  open(folder: string, warn: (fields: object, text: string) => void): Promise<WritableStore>
  read(folder: string): Promise<ReadableStore>
}

const sqliteMaker: StoreMaker = {
  open: async (folder, warn) => writeSqlite({ folder, now: () => Date.now(), warn }),
  read: async (folder) => readSqlite(folder),
}

export async function testStore(t: TestContext, maker: StoreMaker = sqliteMaker): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  const warnings: string[] = []
  let store = await maker.open(folder, (_fields, text) => void warnings.push(text))
  let writer = new StoreWriter({ folder, store, now: () => Date.now() })
  t.after(async () => {
    await writer.close()
    await rm(folder, { recursive: true, force: true })
  })
  const rows = (sql: string): Promise<readonly unknown[]> => store.atOneMoment((ask) => ask(sql))
  return {
    folder,
    warnings,
    get writer() {
      return writer
    },
    async write(entries, file = 'sluice-a-1-0.ndjson') {
      await appendFile(join(folder, file), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
    },
    async catchUp() {
      while ((await writer.tick()) > 0);
    },
    async crash() {
      store = await maker.open(folder, (_fields, text) => void warnings.push(text))
      writer = new StoreWriter({ folder, store, now: () => Date.now() })
    },
    async reader() {
      const reader = new StoreReader(folder, await maker.read(folder))
      t.after(() => reader.close())
      return reader
    },
    messages: () =>
      rows(`SELECT id, kind, sender, size, client, header_id, (SELECT text FROM names WHERE name = tags)
            FROM messages ORDER BY message`),
    copies: () =>
      rows(`SELECT m.id, n, address, state, (SELECT text FROM names WHERE name = stage),
              (SELECT text FROM names WHERE name = rules), remote
            FROM copies c JOIN messages m ON m.message = c.message ORDER BY c.message, n`),
  }
}

let made = 0

/** Another id with each call, one second apart. */
export function testId(): MessageId {
  made += 1
  return newMessageId(testedAt + made * 1_000)
}

/** A message from outside to one mailbox, as the journal tells it up to its delivery. */
export function deliveredStory(id: MessageId, to = 'jane@example.org', from = 'bob@remote.test'): JournalEntry[] {
  const at = testedAt
  return [
    {
      at,
      event: 'received',
      id,
      from,
      to: [to],
      sizeBytes: 1_000,
      listener: '0.0.0.0:25',
      address: '192.0.2.7',
      messageId: `<${id}@remote.test>`,
    },
    { at: at + 1, event: 'routed', id, to: [to], rcpt: [0], rule: 'smtpd.conf:5', queue: 'filter', tags: [] },
    { at: at + 2, event: 'passed', id, stage: 'filter', tag: 'Filtered', tookMs: 1 },
    {
      at: at + 2,
      event: 'routed',
      id,
      to: [to],
      rcpt: [0],
      rule: 'smtpd.conf:7',
      queue: 'deliver',
      tags: ['Filtered'],
    },
    { at: at + 9, event: 'delivered', id, recipient: to, rcpt: 0, stage: 'deliver', reply: '250 2.0.0 Saved' },
  ]
}

/** A process takes over the journal, and is killed right after so many transactions, or when there is no more to take over. */
export async function writeUntilKilled(folder: string, place: StorePlace, transactions: number): Promise<void> {
  const script = join(import.meta.dirname, 'writer.child.ts')
  const words = ['--import', 'tsx', script, folder, JSON.stringify(place)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let left = transactions
  for await (const line of createInterface({ input: child.stdout })) {
    left -= 1
    if (left <= 0 || line === 'all') child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
}
