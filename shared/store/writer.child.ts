import { openStoreWriter } from './open-store.ts'
import { sqlitePlace } from './store-place.ts'
import type { StorePlace } from './store-place.ts'

/** Takes over what is in the journal of the folder, and says so after each transaction, until it is killed. */
const [, , folder = '', place] = process.argv
const writer = await openStoreWriter({
  folder,
  place: place === undefined ? sqlitePlace : (JSON.parse(place) as StorePlace),
  now: () => Date.now(),
  warn: () => undefined,
})
while ((await writer.tick()) > 0) process.stdout.write('taken over\n')
process.stdout.write('all\n')
setInterval(() => undefined, 1_000)
