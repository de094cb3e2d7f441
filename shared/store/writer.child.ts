import { StoreWriter } from './store-writer.ts'

/** Takes over what is in the journal of the folder, and says so after each transaction, until it is killed. */
const writer = new StoreWriter({ folder: process.argv[2] ?? '', now: () => Date.now(), warn: () => undefined })
while (writer.tick() > 0) process.stdout.write('taken over\n')
process.stdout.write('all\n')
setInterval(() => undefined, 1_000)
