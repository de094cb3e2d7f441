import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { JobSummary } from '../queue/queues.ts'
import { flushDestination } from './flush-destination.ts'

const clock = { now: () => 10_000 }

function waiting(jobId: string, domain: string, receivedAt = 0): JobSummary {
  return { jobId, data: { to: [`ann@${domain}`], destination: 'smarthost', receivedAt } } as unknown as JobSummary
}

function queuesWith(jobs: readonly JobSummary[]) {
  const promoted: string[] = []
  return {
    promoted,
    list: async (_: string, __: readonly string[], start: number, end: number) => jobs.slice(start, end + 1),
    async promote(_: string, jobId: string) {
      promoted.push(jobId)
      return jobId === 'gone' ? 0 : 1
    },
  }
}

test('one destination is tried now, what is kept back by its sender is not', async () => {
  const queues = queuesWith([
    waiting('a', 'far.test'),
    waiting('b', 'other.test'),
    waiting('c', 'sub.far.test'),
    waiting('d', 'notfar.test'),
    waiting('later', 'far.test', 20_000),
    waiting('gone', 'far.test'),
  ])
  assert.equal(await flushDestination(queues, { domain: 'far.test', subdomains: false }, clock), 1)
  assert.deepEqual(queues.promoted, ['a', 'gone'])
  assert.equal(await flushDestination(queues, { domain: 'far.test', subdomains: true }, clock), 2)
})

test('a long queue is looked through to its end', async () => {
  const jobs = Array.from({ length: 1_234 }, (_, index) => waiting(`${index}`, index % 2 === 0 ? 'far.test' : 'x.test'))
  assert.equal(await flushDestination(queuesWith(jobs), { domain: 'far.test', subdomains: false }, clock), 617)
})
