import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pass, reject, settled } from '../../shared/mail/disposition.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { tag } from '../../shared/mail/tag.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import { sweep } from '../../shared/pipeline/sweep.ts'
import { takeUpDecisions } from '../../shared/pipeline/take-up.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import { redisMissing, signalOf } from '../../shared/queue/testing.ts'
import type { MessageView } from '../../shared/report/views.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { openBench, quarantineOnce, stageOnce } from './testing.ts'
import type { Bench } from './testing.ts'

const skip = await redisMissing()
const rules = [
  'table friends { ann = ann@near.test, all = "ann@near.test, bob@near.test", lost = nobody@refused.test }',
  'table secrets { me = "sluice:secret" }',
  'action "users" maildir alias <friends>',
  'action "out" relay',
  'action "backup" relay host "smtp+tls://me@mx.backup.test:587" auth <secrets>',
  'match from any for domain refused.test reject',
  'match tag Filtered from local for local action "users"',
  'match from any for domain scanned.test action "scan"',
  'match from any for local action "scan"',
  'match from any for any action "out"',
]
const host = 'smtp://mx.backup.test:2525'

async function open(t: Parameters<typeof openBench>[0]) {
  const bench = await openBench(t, rules)
  return { ...bench, ...following(bench) }
}

function following({ ctl, context }: Bench) {
  return {
    /** Where the unfinished jobs of a message are, whom they are for, and where they go. */
    jobs: async (id: MessageId) =>
      (await context.queues.jobsOf(id))
        .filter(({ state }) => state !== 'completed')
        .map(({ queue, data }) => `${queue} ${data.to.join(',')} ${data.action ?? '-'} ${data.destination ?? '-'}`)
        .toSorted(),
    view: async (id: MessageId) => JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView,
    /** What the relay is asked to do in so many attempts, and answers; what is only planned anew is not one. */
    relayed: (attempts = 1, reply: Reply = replies.tryLater) => relay(context, attempts, reply),
  }
}

async function relay(context: ServiceContext, attempts: number, reply: Reply): Promise<readonly StageMessage[]> {
  const asked: StageMessage[] = []
  const enough = signalOf()
  const stage = await defineStage({
    name: 'relay',
    handle: async (message) => {
      asked.push(message)
      if (asked.length === attempts) setImmediate(enough.resolve)
      return settled(message.pending.map((recipient) => ({ recipient, reply, reached: 'remote' })))
    },
  }).start(context)
  await enough.promise
  await stage.close()
  return asked
}

test('a rerouted message is relayed by way of the host, and its story tells who said so', { skip }, async (t) => {
  const { ctl, accept, jobs, relayed, view } = await open(t)
  const id = await accept(['joe@far.test', 'jim@far.test'])
  assert.deepEqual(await jobs(id), ['relay joe@far.test,jim@far.test out far.test'])
  assert.equal((await ctl('reroute', id, '--to', 'mx.backup.test:2525')).out, '1 job rerouted\n')
  const [message] = await relayed(1, { code: 250, enhanced: '2.0.0', text: 'OK' })
  assert.deepEqual([message?.order, message?.destination, message?.action], [{ kind: 'host', url: host }, host, 'out'])
  const { recipients } = await view(id)
  assert.deepEqual(
    recipients.map(({ state }) => state),
    ['relayed', 'relayed'],
  )
  const { out } = await ctl('show', 'message', id)
  assert.match(
    out,
    /sent by way of smtp:\/\/mx\.backup\.test:2525, for joe@far\.test, jim@far\.test, by \S+ \(sluicectl\)/,
  )
  assert.match((await ctl('reroute', id, '--undo')).errors, /is in no queue/)
})

test('the last order stands, for an action too, and undone the rules say where to', { skip }, async (t) => {
  const { ctl, accept, relayed } = await open(t)
  const id = await accept(['joe@far.test'])
  const way = async (...words: readonly string[]): Promise<readonly unknown[]> => {
    assert.equal((await ctl('reroute', id, ...words)).code, 0, words.join(' '))
    const [message] = await relayed()
    return [message?.action, message?.destination, message?.order?.kind]
  }
  assert.deepEqual(await way('--to', 'smtp+tls://me@mx.other.test'), ['out', 'smtp+tls://me@mx.other.test', 'host'])
  assert.deepEqual(await way('--action', 'backup'), ['backup', 'smtp+tls://me@mx.backup.test:587', 'action'])
  assert.deepEqual(await way('--to', host), ['out', host, 'host'])
  assert.deepEqual(await way('--undo'), ['out', 'far.test', undefined])
})

test(
  'an action that is taken out of the configuration: its mail waits for an operator, and does not go elsewhere',
  { skip },
  async (t) => {
    const { accept, context, relayed } = await open(t)
    const id = await accept(['joe@far.test'])
    const order = { kind: 'action', name: 'gone' } as const
    await context.spool.settle([{ id, recipient: 0, kind: 'rerouted', stage: 'relay', at: Date.now(), order }])
    await withIndex(context, async (index) => {
      assert.equal(await takeUpDecisions({ ...context, index }, new Map(), 0), 1)
    })
    const [message] = await relayed()
    assert.deepEqual([message?.action, message?.order], ['gone', order])
  },
)

test('a destination selects what is rerouted, also what is rerouted already', { skip }, async (t) => {
  const { ctl, accept, jobs } = await open(t)
  const [far, scanned] = [await accept(['joe@far.test', 'joe@near.test']), await accept(['joe@scanned.test'])]
  const many = ['reroute', '--destination', 'far.test'] as const
  assert.equal((await ctl(...many, '--to', host, '--dry-run')).out, '1 job of 1 message; nothing is changed\n')
  assert.equal((await ctl(...many, '--to', host)).out, '1 job rerouted\n')
  assert.deepEqual(await jobs(far), ['relay joe@far.test out far.test', 'relay joe@near.test out near.test'])
  assert.deepEqual(await jobs(scanned), ['filter joe@scanned.test - -'])
  const count = async (destination: string): Promise<unknown> =>
    JSON.parse((await ctl('hold', '--destination', destination, '--dry-run', '--json')).out)
  assert.deepEqual(await count('scanned.test'), { jobs: 1, messages: 1 })
})

test('what cannot be meant is refused before anything changes', { skip }, async (t) => {
  const { ctl, accept, context } = await open(t)
  const id = await accept(['joe@far.test'])
  for (const [words, code, message] of [
    [['reroute', id], 2, /name one of: --to HOST, --action NAME, --undo/],
    [['reroute', id, '--to', host, '--undo'], 2, /name one of/],
    [['reroute', '--to', host], 2, /name one of: an ID/],
    [['reroute', id, '--to', 'ftp://x'], 1, /"ftp:\/\/x" is no relay host: .* smtp\+tls/],
    [['reroute', id, '--to', 'queue://filter'], 1, /is a queue of this server/],
    [['reroute', id, '--to', 'smtp+tls://you@mx.test'], 1, /no auth table .* the label "you"/],
    [['reroute', id, '--action', 'scan'], 1, /no action "scan" that relays .* "out", "backup"/],
    [['reroute', id, '--to', host, '--recipient', 'x@far.test'], 1, /does not wait for x@far.test: .* joe@far\.test/],
    [['readdress', id, 'joe@far.test', 'nonsense'], 1, /'nonsense' is not an address/],
    [['readdress', id, 'jim@far.test', 'joe@near.test'], 1, /does not wait for jim@far\.test/],
    [['readdress', id, 'joe@far.test', 'joe@refused.test'], 1, /the rules refuse joe@refused\.test: 550 5\.7\.1/],
    [['readdress', id, 'joe@far.test', 'lost@localhost'], 1, /the rules refuse lost@localhost/],
    [['readdress', id, 'joe@far.test', 'all@localhost'], 1, /stands for 2 addresses: name one of ann@near\.test, bob/],
    [['readdress', id, 'joe@far.test', 'joe@far.test'], 1, /has a copy for joe@far\.test already/],
    [['hold', '--tag', 'x', '--recipient', 'joe@far.test'], 2, /--recipient goes with an ID/],
  ] as const) {
    const printed = await ctl(...words)
    assert.equal(printed.code, code, `${words.join(' ')}: ${printed.errors}`)
    assert.match(printed.errors, message)
  }
  assert.deepEqual((await context.spool.outcomesOf([id])).get(id), [])
})

test('one copy is readdressed: the rules say where it goes, reports name the old address', { skip }, async (t) => {
  const { ctl, accept, jobs, relayed, view } = await open(t)
  const id = await accept(['joe@far.test', 'jim@far.test'])
  assert.equal(
    (await ctl('readdress', id, 'JIM@far.test', 'ann@localhost')).out,
    `the copy of message ${id} for JIM@far.test goes to ann@near.test\n`,
  )
  assert.deepEqual(await jobs(id), ['relay ann@near.test out far.test', 'relay joe@far.test out far.test'])
  const messages = await relayed(2)
  const ann = messages.find(({ pending }) => pending.includes(1))
  assert.deepEqual([ann?.destination, ann?.pending], ['near.test', [1]])
  const { mailbox, original } = ann?.envelope.recipients[1] ?? {}
  assert.deepEqual([mailbox, original], ['ann@near.test', 'jim@far.test'])
  assert.match((await ctl('show', 'message', id)).out, /ann@near\.test \(given as jim@far\.test\)/)
  const told = (await view(id)).story.map(({ text }) => text)
  assert.ok(told.some((text) => /^the copy for jim@far\.test goes to ann@near\.test, by \S+ \(sluicectl\)$/.test(text)))
  assert.equal((await ctl('readdress', id, 'ann@near.test', 'jim@far.test')).code, 0)
})

test('one copy is removed, held, released and returned; the others go on', { skip }, async (t) => {
  const { ctl, accept, jobs, view } = await open(t)
  const id = await accept(['a@far.test', 'b@far.test', 'c@far.test', 'd@far.test'])
  const only = (name: string): readonly string[] => [id, '--recipient', `${name}@far.test`]
  assert.equal((await ctl('remove', ...only('a'))).out, `message ${id} is removed for 1 recipient\n`)
  assert.equal((await ctl('hold', ...only('b'))).out, `message ${id} is held in relay\n`)
  assert.equal((await ctl('expire', ...only('c'))).out, `message ${id} is returned to its sender for 1 recipient\n`)
  assert.deepEqual(await jobs(id), [
    'held b@far.test out far.test',
    'relay c@far.test out far.test',
    'relay d@far.test out far.test',
  ])
  assert.match((await ctl('release', ...only('d'))).errors, /is not held/)
  assert.equal((await ctl('release', ...only('b'))).code, 0)
  assert.match((await ctl('remove', ...only('a'))).errors, /does not wait for a@far\.test/)
  const { recipients, story } = await view(id)
  assert.equal(recipients[0]?.state, 'removed')
  assert.ok(story.some(({ text }) => text.startsWith('removed for a@far.test by')))
})

test('what a filter keeps back stays there under its new address, and is not judged again', { skip }, async (t) => {
  const { ctl, accept, context, jobs } = await open(t)
  const id = await accept(['jane@localhost'])
  await quarantineOnce(context)
  assert.equal((await ctl('readdress', id, 'jane@localhost', 'joe@far.test')).code, 0)
  assert.deepEqual(await jobs(id), ['held joe@far.test - -'])
  assert.equal((await ctl('release', id)).code, 0)
  const seen: (boolean | undefined)[] = []
  await stageOnce(context, async ({ released }) => {
    seen.push(released)
    return pass(tag('Filtered'))
  })
  assert.deepEqual([seen, await jobs(id)], [[true], ['relay joe@far.test out far.test']])
})

async function withIndex<T>({ spool }: ServiceContext, use: (index: LiveIndex) => Promise<T>): Promise<T> {
  const index = await LiveIndex.open(spool.volume)
  try {
    return await use(index)
  } finally {
    await index.close()
  }
}

test('a command killed after the log and before the queue: the ledger completes it, once', { skip }, async (t) => {
  const { accept, context, relayed } = await open(t)
  const id = await accept(['joe@far.test', 'jim@far.test'])
  const decision = { id, stage: 'relay', at: Date.now() } as const
  await context.spool.settle([
    { ...decision, recipient: 0, kind: 'rerouted', order: { kind: 'host', url: host } },
    { ...decision, recipient: 1, kind: 'readdressed', copy: { mailbox: 'joe@near.test' as never } },
  ])
  await withIndex(context, async (index) => {
    const known = new Map<MessageId, number>()
    const parts = { ...context, index }
    assert.equal(await takeUpDecisions(parts, known, 60_000), 0, 'young: its command may still be at work')
    assert.equal(await takeUpDecisions(parts, known, 0), 1)
    assert.equal(await takeUpDecisions(parts, known, 0), 0)
    assert.equal(known.size, 1)
  })
  const ways = (await relayed(2)).map((one) => `${one.pending.join()} ${one.destination}`)
  assert.deepEqual(ways.toSorted(), [`0 ${host}`, '1 near.test'])
})

test('a killed remove delivers nothing, a killed hold keeps it: the next start reads the log', { skip }, async (t) => {
  const { accept, context, jobs, relayed } = await open(t)
  const [removed, held, goesOn] = [
    await accept(['a@far.test']),
    await accept(['b@far.test']),
    await accept(['c@far.test']),
  ]
  for (const [id, kind] of [
    [removed, 'removed'],
    [held, 'held'],
  ] as const) {
    const [job] = await context.queues.jobsOf(id)
    assert.ok(await context.queues.change('relay', job?.jobId ?? '', (data) => ({ ...data, recheck: true })))
    await context.spool.settle([{ id, recipient: 0, kind, stage: 'relay', at: Date.now(), reason: `${kind} by jane` }])
  }
  assert.equal((await relayed())[0]?.envelope.id, goesOn)
  assert.deepEqual([await jobs(removed), await jobs(held)], [[], ['held b@far.test out far.test']])
})

test('what a worker has goes its old way this time, and the new one from its next attempt on', { skip }, async (t) => {
  const { ctl, accept, context, relayed } = await open(t)
  const id = await accept(['joe@far.test'])
  const said: string[] = []
  await stageOnce(
    context,
    async () => {
      said.push(
        (await ctl('reroute', id, '--to', host)).out,
        (await ctl('readdress', id, 'joe@far.test', 'a@b.test')).errors,
      )
      return reject(replies.tryLater)
    },
    'relay',
  )
  assert.match(said[0] ?? '', /^0 jobs rerouted; 1 at work just now: they follow when their attempt ends/)
  assert.match(said[1] ?? '', /is being worked on in queue relay/)
  await withIndex(context, async (index) => {
    assert.equal(await takeUpDecisions({ ...context, index }, new Map(), 0), 1)
  })
  assert.equal((await relayed())[0]?.destination, host)
})

test('Redis emptied: what is rebuilt from the spool follows the decisions, what is held too', { skip }, async (t) => {
  const { ctl, accept, context, redis, jobs, relayed } = await open(t)
  const [id, held] = [await accept(['joe@far.test', 'jim@far.test']), await accept(['ann@far.test'])]
  assert.equal((await ctl('reroute', id, held, '--to', host)).out, '2 jobs rerouted\n')
  assert.equal((await ctl('readdress', id, 'jim@far.test', 'jim@near.test')).code, 0)
  assert.equal((await ctl('hold', held)).code, 0)
  await redis.empty()
  await withIndex(context, async (index) => {
    const swept = await sweep({ ...context, index }, { minAgeMs: 0, reason: 'redis was emptied' })
    assert.deepEqual(swept, { live: 2, requeued: 2, failed: 0 })
    assert.equal(await takeUpDecisions({ ...context, index }, new Map(), 0), 0, 'all follow already')
  })
  assert.deepEqual(await jobs(id), [`relay jim@near.test out near.test`, `relay joe@far.test out ${host}`])
  assert.deepEqual(await jobs(held), [`held ann@far.test out ${host}`])
  const mailboxes = (await relayed(2)).flatMap(({ envelope, pending }) =>
    pending.map((index) => envelope.recipients[index]?.mailbox),
  )
  assert.deepEqual(new Set(mailboxes), new Set(['jim@near.test', 'joe@far.test']))
  assert.equal(mailboxes.length, 2)
})
