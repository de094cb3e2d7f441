import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { openBucketSpool } from '../../shared/spool/bucket/bucket-spool.ts'
import { openS3Store } from '../../shared/spool/bucket/s3-store.ts'
import { startTestBucket } from '../../shared/spool/bucket/testing.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { octets, outcome, storedMessage } from '../../shared/spool/test-support.ts'

/**
 * What a spool in a bucket asks of the store for 1,000 messages, and how fast it is when the store takes so many ms for a PUT. By hand:
 * `node --import tsx test/bench/bucket.ts [messages] [content octets] [ms a PUT takes]`. The store is in this process: its CPU counts too.
 */
await main(Number(process.argv[2] ?? 3_000), Number(process.argv[3] ?? 4096), Number(process.argv[4] ?? 20))

async function main(messages: number, sizeBytes: number, putMs: number): Promise<void> {
  console.log(`${sizeBytes} octets, ${putMs} ms a PUT; PUT, GET and LIST for 1,000 messages`)
  for (const concurrency of [1, 20, 100]) {
    const bucket = await startTestBucket()
    const cachePath = await mkdtemp(join('var', 'bench-bucket-'))
    const options = { cachePath, cacheBytes: 1e9, writer: 'bench', reserveBytes: 0 }
    const spool = await openBucketSpool({ ...options, store: await openS3Store(bucket.address) })
    bucket.objects.beforePut = () => sleep(putMs)
    const count = concurrency === 1 ? Math.ceil(messages / 20) : messages
    const stored = Array.from({ length: count }, () => storedMessage())
    const locators: Awaited<ReturnType<typeof spool.store>>[] = []
    const report = async (what: string, act: (index: number) => Promise<void>): Promise<void> => {
      const before = { ...bucket.objects.counts }
      const startedAt = performance.now()
      const took: number[] = []
      let next = 0
      const run = async (): Promise<void> => {
        for (let index = next++; index < count; index = next++) {
          const at = performance.now()
          await act(index)
          took.push(performance.now() - at)
        }
      }
      await Promise.all(Array.from({ length: concurrency }, run))
      const seconds = (performance.now() - startedAt) / 1000
      const per1000 = (kind: 'put' | 'get' | 'list'): string =>
        (((bucket.objects.counts[kind] - before[kind]) * 1000) / count).toFixed(1)
      took.sort((one, other) => one - other)
      const middle = took[Math.floor(took.length / 2)] ?? 0
      console.log(
        `${what}, ${concurrency} at once: ${Math.round(count / seconds)}/s, median ${middle.toFixed(0)} ms, PUT ${per1000('put')} GET ${per1000('get')} LIST ${per1000('list')}`,
      )
    }
    try {
      const content = octets(sizeBytes)
      await report('store', async (index) => {
        locators[index] = await spool.store(stored[index] ?? storedMessage(), content)
      })
      await report('read, same host', async (index) => {
        const locator = locators[index]
        if (locator !== undefined) await spool.read(locator)
      })
      await report('settle', (index) => spool.settle([outcome((stored[index] ?? storedMessage()).envelope.id)]))
      const other = await mkdtemp(join('var', 'bench-bucket-'))
      const reader = await openBucketSpool({
        ...options,
        cachePath: other,
        store: await openS3Store(bucket.address),
      })
      await report('read, another host', async (index) => {
        const locator = locators[index]
        if (locator !== undefined) await reader.read(locator)
      })
      const startedAt = performance.now()
      const index = await LiveIndex.open(reader.volume)
      console.log(
        `  index from the bucket: ${Math.round(performance.now() - startedAt)} ms, ${index.counts().messages} messages`,
      )
      await reader.close()
      await rm(other, { recursive: true })
    } finally {
      await spool.close()
      await bucket.close()
      await rm(cachePath, { recursive: true })
    }
  }
}
