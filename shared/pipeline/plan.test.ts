import assert from 'node:assert/strict'
import { test } from 'node:test'

import { domainOf, localPart } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { dueAt } from '../mail/envelope.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { replies } from '../mail/reply.ts'
import { tag } from '../mail/tag.ts'
import type { RuleReference } from '../routing/route.ts'
import { maxVisits, planJobs } from './plan.ts'
import type { Journey } from './plan.ts'
import type { Router } from './router.ts'

const rule = { file: 'smtpd.conf', line: 7, column: 1, text: 'match ...' } as unknown as RuleReference

/** Rules of these tests: `nobody` is refused, example.org stays here, everything else is relayed; unfiltered mail is filtered first. */
const route: Router = async (envelope, { mailbox: recipient }) => {
  if (localPart(recipient) === 'nobody') return { kind: 'reject', reply: replies.invalidRecipient, rule }
  if (!envelope.tags.includes(tag('Filtered')))
    return { kind: 'stage', queue: 'filter', tag: tag('Filtered'), action: 'scan', rule }
  if (domainOf(recipient) === 'example.org') return { kind: 'local', action: 'mailbox', rule }
  return { kind: 'relay', action: 'out', rule }
}

function journey(
  recipients: readonly string[],
  changes: Partial<Journey> & { readonly tags?: readonly string[] } = {},
): Journey {
  const envelope: Envelope = {
    id: newMessageId(1_700_000_000_000),
    reversePath: null,
    recipients: recipients.map((mailbox) => ({ mailbox: mailbox as Mailbox })),
    tags: (changes.tags ?? []).map((word) => tag(word)),
    origin: { kind: 'local' },
    receivedAt: 1_700_000_000_000,
  }
  const at = { segment: 'w/1.msg', offset: 0, recordBytes: 100, sizeBytes: 50, headerBytes: 20 }
  return { envelope, at, pending: recipients.map((_, index) => index), edits: [], path: [], ...changes }
}

test('recipients that go the same way share a job', async () => {
  const { jobs } = await planJobs(journey(['a@example.org', 'b@example.org', 'c@far.test']), route)
  assert.deepEqual(
    jobs.map((job) => [job.queue, job.data.rcpt]),
    [['filter', [0, 1, 2]]],
  )
})

test('relayed recipients are grouped by domain, local ones by action', async () => {
  const { jobs } = await planJobs(
    journey(['a@example.org', 'b@far.test', 'c@near.test', 'd@far.test', 'e@example.org'], { tags: ['Filtered'] }),
    route,
  )
  assert.deepEqual(
    jobs.map((job) => [job.queue, job.data.destination, job.data.to]),
    [
      ['deliver', undefined, ['a@example.org', 'e@example.org']],
      ['relay', 'far.test', ['b@far.test', 'd@far.test']],
      ['relay', 'near.test', ['c@near.test']],
    ],
  )
})

test('the same step planned twice has the same job ids, so a crash between two steps adds nothing twice', async () => {
  const one = journey(['a@example.org', 'b@far.test'], { tags: ['Filtered'], path: ['filter'] })
  const first = await planJobs(one, route)
  const second = await planJobs(one, route)
  assert.deepEqual(
    second.jobs.map((job) => job.jobId),
    first.jobs.map((job) => job.jobId),
  )
  assert.equal(new Set(first.jobs.map((job) => job.jobId)).size, 2)
})

test('other recipients of one message, or another way to the same queue, are another job', async () => {
  const one = journey(['a@example.org', 'b@example.org'], { tags: ['Filtered'] })
  const ids = new Set<string>()
  for (const changes of [{ pending: [0] }, { pending: [1] }, { pending: [0, 1] }, { pending: [0], path: ['filter'] }]) {
    const { jobs } = await planJobs({ ...one, ...changes }, route)
    for (const job of jobs) ids.add(job.jobId)
  }
  assert.equal(ids.size, 4)
  assert.ok([...ids].every((id) => !id.includes(':') && id.startsWith(one.envelope.id)))
})

test('a refused recipient does not stop the others', async () => {
  const { jobs, refused } = await planJobs(journey(['nobody@example.org', 'a@example.org']), route)
  assert.deepEqual(refused, [{ recipient: 0, reply: replies.invalidRecipient }])
  assert.deepEqual(jobs[0]?.data.rcpt, [1])
})

test('rules that send a message round in circles end in 5.4.6, not in an endless loop', async () => {
  const path = Array.from({ length: maxVisits }, () => 'filter')
  const { jobs, refused } = await planJobs(journey(['a@example.org'], { path }), route)
  assert.deepEqual(jobs, [])
  assert.equal(refused[0]?.reply.enhanced, '5.4.6')
})

test('what its sender asked to keep back is due when he said, and expires counted from there', async () => {
  const releaseAt = 1_700_000_600_000
  const late = journey(['a@far.test'])
  const { jobs } = await planJobs({ ...late, envelope: { ...late.envelope, releaseAt } }, route)
  assert.equal(jobs[0]?.data.receivedAt, releaseAt)
  assert.equal(dueAt({ receivedAt: 1, releaseAt: 5 }), 5)
  assert.equal(dueAt({ receivedAt: 5 }), 5)
})
