import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'

import type { Clock } from '../../clock.ts'
import { BucketError } from './object-store.ts'
import type { ObjectStore } from './object-store.ts'

export interface BucketTrial {
  /** How long an object took to be stored. */
  readonly putMs: number
  /** Our clock is ahead of the store's by this much, to the second. */
  readonly aheadMs: number
}

/**
 * Puts an object of no meaning, reads, lists and deletes it: everything a spool needs to be allowed.
 * @throws BucketError with what is refused and what to do about it
 */
export async function tryBucket(store: ObjectStore, clock: Clock): Promise<BucketTrial> {
  const key = `probe/${randomBytes(8).toString('hex')}`
  const octets = randomBytes(32)
  const startedAt = clock.now()
  const { at } = await store.put(key, octets)
  const endedAt = clock.now()
  const read = await store.get(key)
  if (read === undefined || !octets.equals(await buffer(read))) {
    throw new BucketError(`${store.name}: what was stored is not what is read: the store cannot hold a spool`)
  }
  const { objects } = await store.list(key)
  await store.remove([key])
  if (objects.length === 0) {
    throw new BucketError(`${store.name}: a listing does not show what was just stored: outcomes would be overlooked`)
  }
  return { putMs: endedAt - startedAt, aheadMs: (startedAt + endedAt) / 2 - at }
}
