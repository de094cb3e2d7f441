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
 * messages of its time.
 */
export async function trimStep(trimmed: Trimmed, { before, maxBytes }: TrimQuestion): Promise<boolean> {
  const { store, folder, tail } = trimmed
  const over = maxBytes !== undefined && (await store.usedBytes()) + journalBytes(folder) > maxBytes
  const limit = over ? olderLimit(trimmed) : undefined
  const trimmedBefore = Math.max(limit ?? 0, (await store.atOneMoment((rows) => factOf(rows, trimmedFact))) ?? 0)
  if (limit !== undefined) await store.keepFact(trimmedFact, trimmedBefore)
  const deleted = await store.dropSettled(firstKeyOf(Math.max(before, trimmedBefore)), atOnce)
  const gone = tail.gone()
  await store.forgetFiles(gone)
  for (const name of gone) tail.forget(name)
  await store.shrink()
  return deleted === atOnce || limit !== undefined
}

function journalBytes(folder: string): number {
  return journalFiles(folder).reduce((sum, name) => sum + (sizeOf(folder, name)?.size ?? 0), 0)
}

/** Takes the oldest file away; everything before its last line may go. */
function olderLimit({ folder, tail }: Trimmed): number | undefined {
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
