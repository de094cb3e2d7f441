import type { Clock } from '../clock.ts'
import { readFully } from './file-io.ts'
import { headBytes } from './frame.ts'
import { SpoolKeyError } from './keyring.ts'
import type { Keyring } from './keyring.ts'
import { keyIdOfRecord, wrapperBytes } from './record-wrap.ts'
import { scanSegment } from './scan.ts'
import type { ScannedFrame } from './scan.ts'
import { segmentsOf } from './spool-files.ts'
import type { SpoolListing } from './spool-files.ts'
import type { SpoolVolume } from './volume.ts'

/**
 * Makes sure that each record can be read. The names of keys that ever wrote are kept beside the records: a start without one of them is
 * noticed at once, and not when the first record cannot be read. Only when a key that wrote here is missing all records are gone through; the name of one that
 * no record needs is forgotten, unless a process that may still write with it is alive.
 * @throws SpoolKeyError naming the keys that records need
 */
export async function requireKeys(volume: SpoolVolume, keyring: Keyring, clock: Clock): Promise<void> {
  const announced = (await volume.keys.list()).filter((name) => /^[0-9a-f]{16}$/.test(name))
  const missing = announced.filter((id) => keyring.find(id) === undefined)
  if (missing.length === 0) return
  const listing = await volume.list()
  const records = await countRecords(volume, listing)
  const needed = missing.filter((id) => records.has(id))
  if (needed.length > 0) throw new SpoolKeyError(describe(needed, records, keyring))
  if (await isAnyAlive(volume, listing, clock)) return
  for (const id of missing) await volume.keys.remove(id)
}

/** Encrypted records, by the name of their key. */
async function countRecords(volume: SpoolVolume, listing: SpoolListing): Promise<ReadonlyMap<string, number>> {
  const records = new Map<string, number>()
  for (const { file, segment } of filesOf(listing)) {
    await volume.withFile(file, async (fd) => {
      const encrypted: number[] = []
      const visit = ({ head, offset }: ScannedFrame): void => {
        if (head.wrap?.encrypted === true) encrypted.push(offset)
      }
      await scanSegment({ fd, segment, from: 0, visit, onDamage: () => undefined })
      for (const offset of encrypted) {
        const wrapper = Buffer.alloc(wrapperBytes)
        await readFully(fd, wrapper, offset + headBytes)
        const id = keyIdOfRecord(wrapper)
        records.set(id, (records.get(id) ?? 0) + 1)
      }
    })
  }
  return records
}

function* filesOf(listing: SpoolListing): Generator<{ readonly file: string; readonly segment: string }> {
  for (const { path } of segmentsOf(listing.writers, 'msg')) yield { file: path, segment: path }
  for (const { path, origin } of listing.relocated) {
    if (origin.kind === 'record') yield { file: path, segment: origin.segment }
  }
  for (const { path, origin } of listing.outcomeLogs) yield { file: path, segment: origin }
}

async function isAnyAlive(volume: SpoolVolume, { writers }: SpoolListing, clock: Clock): Promise<boolean> {
  const living = await Promise.all(
    writers.map(async ({ name, hasAlive }) => hasAlive && (await volume.isWriterAlive(name, clock))),
  )
  return living.includes(true)
}

function describe(needed: readonly string[], records: ReadonlyMap<string, number>, keyring: Keyring): string {
  const which = needed.map((id) => `${id} (${records.get(id) ?? 0} records)`).join(' and ')
  const given = keyring.ids.length === 0 ? 'no key was given' : `these were given: ${keyring.ids.join(' ')}`
  return `the spool is encrypted with ${needed.length === 1 ? 'the key' : 'the keys'} ${which}; ${given}`
}
