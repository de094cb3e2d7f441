import { openSpool } from './file-spool.ts'
import { octets, outcome, storedMessage } from './test-support.ts'

/** Writes until it is killed; a line `<id> <seed> <length>` follows each acknowledgement, `settled <id>` each outcome. */
await storm(process.argv[2] ?? '')

async function storm(path: string): Promise<void> {
  const spool = await openSpool({
    path,
    writer: 'storm',
    reserveBytes: 0,
    streamThresholdBytes: 20_000,
    segmentBytes: 500_000,
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
