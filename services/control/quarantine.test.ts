import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { openBlockedSenders } from '../../shared/blocked-senders.ts'
import { classifierFiles } from '../../shared/classifier/classifier.ts'
import { readLearned } from '../../shared/classifier/learned-mail.ts'
import { storyOf } from '../../shared/journal.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { pass } from '../../shared/mail/disposition.ts'
import { tag } from '../../shared/mail/tag.ts'
import { createQuarantine } from '../../shared/operate/quarantine.ts'
import { redisMissing } from '../../shared/queue/testing.ts'
import { openBench, quarantineOnce, stageOnce } from './testing.ts'

const skip = await redisMissing()

test('a recipient lets his own copy go, or drops it, and those of the others stay kept back', { skip }, async (t) => {
  const { accept, context } = await openBench(t)
  const id = await accept(['jane@localhost', 'joe@localhost', 'bob@localhost'])
  await quarantineOnce(context, 'spam')
  const quarantine = createQuarantine(context)
  const [copyOfJane, copyOfJoe] = await Promise.all([quarantine.find(id, 0), quarantine.find(id, 1)])
  assert.ok(copyOfJane && copyOfJoe)
  assert.deepEqual([copyOfJoe.mailbox, copyOfJoe.from, copyOfJoe.kind], ['joe@localhost', 'joe@example.net', 'spam'])
  await quarantine.release(copyOfJoe, 'joe')
  await quarantine.remove(copyOfJane, 'jane')
  assert.deepEqual([await quarantine.find(id, 1), await quarantine.find(id, 0)], [undefined, undefined])
  assert.equal((await quarantine.find(id, 2))?.mailbox, 'bob@localhost')
  const seen: unknown[] = []
  await stageOnce(context, async (message) => {
    seen.push(message.released, message.pending)
    return pass(tag('Filtered'))
  })
  assert.deepEqual(seen, [true, [1]], 'past the filter, and only his')
  const outcomes = (await context.spool.outcomesOf([id])).get(id) ?? []
  assert.deepEqual(
    outcomes.filter(({ kind }) => kind !== 'held').map(({ kind, recipient }) => [kind, recipient]),
    [
      ['released', 1],
      ['removed', 0],
    ],
  )
})

test('what one recipient has let go is not held again when the queues are rebuilt', { skip }, async (t) => {
  const { accept, context, ctl, redis } = await openBench(t)
  const id = await accept(['jane@localhost', 'joe@localhost'])
  await quarantineOnce(context, 'spam')
  const quarantine = createQuarantine(context)
  const copy = await quarantine.find(id, 1)
  assert.ok(copy)
  await quarantine.release(copy, 'joe')
  await redis.restart()
  assert.ok(await context.queues.ready(30_000))
  for (const job of await context.queues.jobsOf(id)) await context.queues.remove(job.queue, job.jobId)
  assert.equal((await ctl('rebuild')).code, 0)
  const jobs = new Map((await context.queues.jobsOf(id)).map(({ queue, data }) => [queue, data.rcpt]))
  assert.deepEqual(
    jobs,
    new Map([
      ['held', [0]],
      ['filter', [1]],
    ]),
  )
})

test('a message that is released is learned as ham, unless it failed authentication', { skip }, async (t) => {
  const { accept, context, ctl } = await openBench(t)
  const { learned } = classifierFiles(context.dataFolder)
  const held = async (authentication: string): Promise<string> => {
    const id = await accept()
    context.events.filtered({ id, verdict: 'quarantine', score: 9, symbols: [], authentication })
    await quarantineOnce(context, 'spam')
    const isTold = async () =>
      (await storyOf(join(context.dataFolder, 'events'), id)).some(({ event }) => event === 'filtered')
    while (!(await isTold())) await new Promise((resolve) => setImmediate(resolve))
    return id
  }
  const forged = await held('spf=fail smtp.mailfrom=joe@example.net; dmarc=fail header.from=example.net')
  assert.match((await ctl('release', forged, '--learn-ham')).out, /is back in filter; not learned: it failed auth/)
  assert.deepEqual(await readLearned(learned), [])
  await stageOnce(context, async () => pass(tag('Filtered')))
  const proven = await held('spf=pass smtp.mailfrom=joe@example.net; dmarc=pass header.from=example.net')
  assert.match((await ctl('release', proven, '--learn-ham')).out, /is back in filter; learned as ham/)
  assert.deepEqual(
    (await readLearned(learned)).map(({ isSpam }) => isSpam),
    [false],
  )
})

test('senders are blocked for a recipient or for everybody, listed, and let in again', { skip }, async (t) => {
  const { ctl, context } = await openBench(t)
  assert.equal((await ctl('block', 'list')).out, 'No sender is blocked.\n')
  assert.equal((await ctl('block', 'add', 'Win@Spam.example', 'jane@localhost')).code, 0)
  assert.equal((await ctl('block', 'add', '@spam.example')).out, '@spam.example is blocked for everybody\n')
  assert.equal((await ctl('block', 'add', 'no address')).code, 2)
  const { out } = await ctl('block', 'list')
  assert.match(out, /win@spam\.example +jane@localhost[^]*@spam\.example +everybody/)
  const blocked = openBlockedSenders(context.dataFolder, () => 0, silentLog())
  assert.ok(blocked.isBlocked('joe@localhost' as Mailbox, 'x@spam.example' as Mailbox, '+'))
  assert.equal((await ctl('block', 'remove', '@spam.example')).out, '@spam.example may write again for everybody\n')
  assert.equal((await ctl('block', 'remove', '@spam.example')).code, 1)
  const { out: same } = await ctl('block', 'add', '"joe"@exämple.org', 'jane@EXÄMPLE.org')
  assert.equal(same, 'joe@xn--exmple-cua.org is blocked for jane@xn--exmple-cua.org\n', 'as it is compared')
  assert.equal((await ctl('block', 'add', '@exämple.org')).out, '@xn--exmple-cua.org is blocked for everybody\n')
})
