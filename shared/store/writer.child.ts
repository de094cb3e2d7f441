import { openStoreWriter } from './open-store.ts'

/** Takes over what is in the journal of the folder, and says so after each transaction, until it is killed. */
const folder = process.argv[2] ?? ''
const writer = await openStoreWriter({ folder, now: () => Date.now(), warn: () => undefined })
while ((await writer.tick()) > 0) process.stdout.write('taken over\n')
process.stdout.write('all\n')
setInterval(() => undefined, 1_000)
