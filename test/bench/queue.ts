import { parseArgs } from 'node:util'

import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { NewJob, StageJob } from '../../shared/queue/job.ts'
import { openQueues } from '../../shared/queue/queues.ts'
import type { Queues } from '../../shared/queue/queues.ts'
import { startTestRedis } from '../../shared/queue/testing.ts'

/**
 * What the queues alone carry: adds by 32 senders at a time; hops (a job is taken, the next one added, this one completed) from
 * one queue to the next; retries. CPU is that of this process; Redis's own is told beside it.
 *
 *   node --import tsx test/bench/queue.ts [--jobs 20000] [--fsync always] [--concurrency 20,50,100]
 */
const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '10000' },
    fsync: { type: 'string', default: 'everysec' },
    concurrency: { type: 'string', default: '20,50,100' },
  },
})
const jobs = Number(values.jobs)

console.log(`Redis with appendfsync ${values.fsync}, ${jobs} jobs a series`)
for (const concurrency of values.concurrency.split(',').map(Number)) await measure(concurrency)

async function measure(concurrency: number): Promise<void> {
  const redis = await startTestRedis(['--appendfsync', values.fsync])
  const queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['a', 'b'], log: silentLog() })
  try {
    await queues.ready(5000)
    await report('add, 32 at a time', redis.pid, () => addAll(queues, 32))
    await report(`hop, concurrency ${concurrency}`, redis.pid, () => hop(queues, concurrency))
    await report(`done, concurrency ${concurrency}`, redis.pid, () => drain(queues, concurrency))
    await addAll(queues, 32)
    await report(`later, concurrency ${concurrency}`, redis.pid, () => postpone(queues, concurrency))
  } finally {
    await queues.close()
    await redis.close()
  }
}

async function addAll(queues: Queues, senders: number): Promise<void> {
  let left = jobs
  const sender = async () => {
    while (left-- > 0) await queues.add([makeJob()])
  }
  await Promise.all(Array.from({ length: senders }, sender))
}

async function hop(queues: Queues, concurrency: number): Promise<void> {
  await untilAll(queues, 'a', concurrency, async (job) => {
    await queues.add([{ queue: 'b', jobId: `${job.id}.b.0`, data: { ...job, path: ['a'] } }])
    return { kind: 'done' }
  })
}

async function drain(queues: Queues, concurrency: number): Promise<void> {
  await untilAll(queues, 'b', concurrency, () => Promise.resolve({ kind: 'done' }))
}

async function postpone(queues: Queues, concurrency: number): Promise<void> {
  await untilAll(queues, 'a', concurrency, (data) =>
    Promise.resolve({ kind: 'later', data, delayMs: 3_600_000, reason: '451 try later' }),
  )
}

type Handler = Parameters<Queues['work']>[1]['handler']

async function untilAll(queues: Queues, queue: string, concurrency: number, handler: Handler): Promise<void> {
  let seen = 0
  await new Promise<void>((resolve) => {
    const worker = queues.work(queue, {
      concurrency,
      async handler(job, control) {
        const result = await handler(job, control)
        if (++seen === jobs) setImmediate(() => void worker.close().then(resolve))
        return result
      },
    })
  })
}

function makeJob(): NewJob {
  const id = newMessageId(Date.now())
  const data: StageJob = {
    v: 1,
    id,
    at: { segment: 'main/000001.msg', offset: 123_456, recordBytes: 5000, sizeBytes: 4096, headerBytes: 512 },
    from: 'sender@example.org' as Mailbox,
    rcpt: [0],
    to: ['recipient@example.net' as Mailbox],
    tags: [],
    edits: [
      {
        kind: 'prepend',
        fields: `Received: from client.example.org ([192.0.2.1])\r\n\tby mx.example.net id ${id};\r\n\tSat, 21 Nov 2026 03:00:00 +0000\r\n`,
      },
    ],
    receivedAt: Date.now(),
    path: [],
    attempts: 0,
  }
  return { queue: 'a', jobId: `${id}.a.0`, data }
}

async function report(name: string, redisPid: number, run: () => Promise<void>): Promise<void> {
  const [cpu, redisCpuMs, startAt] = [process.cpuUsage(), await cpuOf(redisPid), performance.now()]
  await run()
  const seconds = (performance.now() - startAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const node = (user + system) / jobs
  const server = (((await cpuOf(redisPid)) - redisCpuMs) * 1000) / jobs
  const rate = Math.round(jobs / seconds)
  console.log(
    `${name.padEnd(24)} ${String(rate).padStart(7)}/s  node ${node.toFixed(0)} us/job, redis ${server.toFixed(0)} us/job`,
  )
}

/** User and system time of a process in ms; 0 where there is no /proc. */
async function cpuOf(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10
}
