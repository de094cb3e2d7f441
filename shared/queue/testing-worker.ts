import { silentLog } from '../log.ts'
import { openQueues } from './queues.ts'
import { parseRedisUrl } from './redis-address.ts'

/** A process of its own that takes a job, says so and never finishes: killed by tests. Arguments: URL, queue, lock in ms. */
const [url = '', queue = '', lockMs = '10000'] = process.argv.slice(2)
const address = parseRedisUrl(url)
const endpoint = { address, kind: 'given', release: () => Promise.resolve() } as const
const queues = openQueues({ endpoint, prefix: 'sluice', names: [queue], log: silentLog() })
queues.work(queue, {
  concurrency: 1,
  lockMs: Number(lockMs),
  stalledIntervalMs: Number(lockMs) / 2,
  handler: (_job, { jobId }) => {
    process.stdout.write(`${jobId}\n`)
    return new Promise(() => {})
  },
})
