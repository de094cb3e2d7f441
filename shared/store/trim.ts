import { statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import { journalFiles } from './journal-tail.ts'
import type { JournalTail } from './journal-tail.ts'
import { firstKeyOf } from './message-key.ts'
import { factOf } from './open-copies.ts'
import type { WritableStore } from './store-database.ts'

/** What is kept: nothing older, and no more octets on disk than that. */
export interface TrimQuestion {
  /** Epoch ms. */
  readonly before: number
  readonly maxBytes?: number
}

interface Trimmed {
  readonly folder: string
  readonly store: WritableStore
  readonly tail: JournalTail
}

/** Messages of one step: some tens of milliseconds. */
const atOnce = 500
const trimmedFact = 'trimmed before'

/**
 * One short step of cleaning up; true: there is more to do. A message goes with all that is known of it, once it is settled. To be below
 * the size, the file of the journal that was written to longest ago goes, if it is read to its end and not the last, and with it the
 * messages of its time; of a store that several hosts share, the oldest messages go by its own size.
 */
export async function trimStep(trimmed: Trimmed, { before, maxBytes }: TrimQuestion): Promise<boolean> {
  const { store, tail } = trimmed
  const trimmedBefore = (await store.atOneMoment((rows) => factOf(rows, trimmedFact))) ?? 0
  const deleted = await store.dropSettled(firstKeyOf(Math.max(before, trimmedBefore)), atOnce)
  const gone = tail.gone()
  await store.forgetFiles(gone)
  for (const name of gone) tail.forget(name)
  await store.shrink()
  if (deleted === atOnce) return true
  if (maxBytes === undefined) return false
  const limit = await limitBySize(trimmed, maxBytes)
  if (limit === undefined) return false
  if (limit.before > trimmedBefore) await store.keepFact(trimmedFact, limit.before)
  return limit.isJournal || limit.before > trimmedBefore
}

/** What is older must go; `isJournal`: a file of it went. */
async function limitBySize(
  { folder, store, tail }: Trimmed,
  maxBytes: number,
): Promise<{ readonly before: number; readonly isJournal: boolean } | undefined> {
  const isOver = (await store.usedBytes()) + journalBytes(folder) > maxBytes
  const fileAt = isOver ? dropOldestFile(folder, tail) : undefined
  if (!store.isShared) return fileAt === undefined ? undefined : { before: fileAt, isJournal: true }
  const before = await store.tooOld(maxBytes)
  return before === undefined && fileAt === undefined
    ? undefined
    : { before: before ?? 0, isJournal: fileAt !== undefined }
}

function journalBytes(folder: string): number {
  return journalFiles(folder).reduce((sum, name) => sum + (sizeOf(folder, name)?.size ?? 0), 0)
}

/** Takes the oldest file away; everything before its last line, epoch ms, may go. */
function dropOldestFile(folder: string, tail: JournalTail): number | undefined {
  const files = journalFiles(folder)
    .map((name) => ({ name, found: sizeOf(folder, name) }))
    .flatMap(({ name, found }) => (found === undefined ? [] : [{ name, size: found.size, at: found.mtimeMs }]))
    .sort((one, other) => one.at - other.at)
  const [oldest] = files.slice(0, -1).filter(({ name, size }) => tail.hasRead(name, size))
  if (oldest === undefined) return undefined
  unlinkSync(join(folder, oldest.name))
  return oldest.at
}

function sizeOf(folder: string, name: string) {
  return statSync(join(folder, name), { throwIfNoEntry: false })
}

/** Those that are settled: what waits for weeks is still to be found. */
export const settledBefore = `SELECT m.message FROM messages m WHERE m.message < ?
  AND NOT EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND c.state < 3)
  ORDER BY m.message LIMIT ?`
