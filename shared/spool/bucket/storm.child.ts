import { octets, outcome, storedMessage } from '../test-support.ts'
import { openBucketSpool } from './bucket-spool.ts'
import { openS3Store } from './s3-store.ts'
import type { BucketAddress } from './s3-store.ts'

/** Writes into the bucket until it is killed; a line follows each acknowledgement, `{"settled":ID}` each outcome. */
await storm(JSON.parse(process.argv[2] ?? '') as BucketAddress, process.argv[3] ?? '')

async function storm(address: BucketAddress, cachePath: string): Promise<void> {
  const spool = await openBucketSpool({
    store: await openS3Store(address),
    cachePath,
    cacheBytes: 100_000_000,
    writer: 'storm',
    reserveBytes: 0,
    streamThresholdBytes: 20_000,
    outcomeLogs: { parts: 10, bytes: 1_000_000, partsStayMs: 0 },
  })
  await Promise.all(Array.from({ length: 20 }, (_, seed) => writeOn(seed)))

  async function writeOn(seed: number): Promise<never> {
    for (let count = 0; ; count += 1) {
      const length = count % 17 === 0 ? 30_000 : count % 1000
      const message = storedMessage()
      const locator = await spool.store(message, octets(length, seed))
      process.stdout.write(`${JSON.stringify({ id: message.envelope.id, locator, seed, length })}\n`)
      if (count % 3 > 0) continue
      await spool.settle([outcome(message.envelope.id)])
      process.stdout.write(`${JSON.stringify({ settled: message.envelope.id })}\n`)
    }
  }
}
