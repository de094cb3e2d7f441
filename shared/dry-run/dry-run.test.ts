import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { loadConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import type { JournalEntry } from '../journal.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { dryRun } from './dry-run.ts'
import type { DryRun } from './dry-run.ts'
import type { Judge } from './judge-message.ts'

interface Files {
  readonly rules: readonly string[]
  readonly more?: readonly string[]
  readonly pipeline?: readonly string[]
}

const site = [
  'table people { "jane" = "1000:1000:/home/jane", "joe" = "1001:1001:/home/joe" }',
  'listen on 192.0.2.1 port 25',
  'listen on 192.0.2.1 port 587 tag Own',
  'action "scan" relay host "queue://filter"',
  'action "mailbox" maildir "/m/%{user.username}" userbase <people>',
  'action "out" relay',
]
const scanned = [
  'match tag Filtered from any for domain "example.org" action "mailbox"',
  'match from any for domain "example.org" action "scan"',
]
const queue = 'queue "filter" tag Filtered'

const beganAt = Date.UTC(2026, 10, 21, 12)
let made = 0

function nextId(): MessageId {
  made += 1
  return newMessageId(beganAt + made * 1_000)
}

interface Told {
  readonly id?: MessageId
  readonly to?: readonly string[]
  readonly from?: string
  readonly score?: number
  readonly [field: string]: unknown
}

/** A message that was scanned and delivered. */
function delivered({ id = nextId(), to = ['jane@example.org'], from = 'bob@remote.test', ...more }: Told = {}) {
  const { score = 0, symbols = [], verdict = 'clean', mayReject = false, demands, action = 'mailbox', ...client } = more
  const rcpt = [...to.keys()]
  return [
    { ...received(id, to, from), ...client },
    { at: beganAt, event: 'filtered', id, verdict, score, symbols, mayReject, demands },
    { at: beganAt, event: 'routed', id, to, rcpt, rule: 'smtpd.conf:7', queue: 'deliver', action },
    ...rcpt.map((n) => ({ at: beganAt, event: 'delivered', id, recipient: to[n], rcpt: n, stage: 'deliver', action })),
  ]
}

function received(id: MessageId, to: readonly string[], from = 'bob@remote.test'): JournalEntry {
  const client = { listener: '192.0.2.1:25', address: '198.51.100.7', helo: 'mx.remote.test', rdns: null }
  return { at: beganAt, event: 'received', id, from, to, sizeBytes: 1_000, ...client }
}

function refused(to: string, reply: string, more: Readonly<Record<string, unknown>> = {}): JournalEntry {
  const { to: _to, ...begun } = received(nextId(), [to])
  return { ...begun, event: 'rejected', stage: 'rcpt', to, reply, ...more }
}

async function tryOut(
  t: TestContext,
  now: Files,
  next: Files,
  traffic: readonly object[] | ((folder: string) => readonly object[]),
  limit = Number.POSITIVE_INFINITY,
): Promise<DryRun> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dry-run-'))
  t.after(() => rm(folder, { recursive: true }))
  const entries = typeof traffic === 'function' ? traffic(folder) : traffic
  const lines = entries.map((entry) => JSON.stringify(entry))
  // Two processes, and a line that a crash has cut.
  const half = Math.floor(lines.length / 2)
  await writeFile(join(folder, 'a-1-1-0.ndjson'), `${lines.slice(0, half).join('\n')}\n{"at":12`)
  await writeFile(join(folder, 'b-1-2-0.ndjson'), `${lines.slice(half).join('\n')}\nno JSON\n[]\n`)
  const judge = async (name: string, { rules, more = [], pipeline = [] }: Files): Promise<Judge> => {
    const [smtpdConf, pipelineConf] = [join(folder, `${name}.conf`), join(folder, `${name}-pipeline.conf`)]
    await writeFile(smtpdConf, `${[...site, ...more, ...rules].join('\n')}\n`)
    await writeFile(pipelineConf, `${[queue, ...pipeline].join('\n')}\n`)
    const { configuration } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org' })
    const tables = openTables({ delimiter: '+' })
    t.after(() => tables.close())
    return { configuration, tables, localAddresses: new Set(['127.0.0.1']) }
  }
  const [inForce, changed] = [await judge('now', now), await judge('next', next)]
  return dryRun({ folder, sinceAt: beganAt - 1, limit, inForce, changed })
}

function summary({ changes, reasons }: DryRun) {
  return {
    changes: changes.map(({ from, to, recipients }) => `${recipients}: ${from} -> ${to}`),
    reasons: reasons.map(({ reason, recipients }) => `${recipients}: ${reason}`),
  }
}

test('a rule that refuses is told with its line, how many it would have met, and three of them', async (t) => {
  const refusing = { rules: ['match from any mail-from "@spam.test" for any reject', ...scanned] }
  const bad = Array.from({ length: 4 }, () => delivered({ from: 'win@spam.test', to: ['jane@example.org'] }))
  const found = await tryOut(t, { rules: scanned }, refusing, [...bad.flat(), ...delivered()])
  assert.deepEqual(summary(found), { changes: ['4: delivered by "mailbox" -> rejected (next.conf:7)'], reasons: [] })
  assert.deepEqual([found.messages, found.recipients, found.unchanged, found.changed], [5, 5, 1, 4])
  assert.equal(found.changes[0]?.examples.length, 3)
  assert.deepEqual(found.changes[0]?.examples[0], {
    id: bad[0]?.[0]?.['id'],
    from: 'win@spam.test',
    to: 'jane@example.org',
  })
  assert.equal(found.changedSince, 0)
})

test('rules that only moved to other lines change nothing', async (t) => {
  const found = await tryOut(
    t,
    { rules: scanned },
    { rules: ['match from any mail-from "@other.test" for any reject', ...scanned] },
    [...delivered(), refused('nobody@example.org', '550 5.1.1 Invalid recipient')],
  )
  assert.deepEqual([found.unchanged, found.changed, found.notJudged], [2, 0, 0])
})

test('thresholds are held against the score of then, those of a policy too', async (t) => {
  const now = { rules: scanned, pipeline: ['spam junk 5 quarantine 20'] }
  const next = {
    rules: scanned,
    pipeline: ['spam junk 8 quarantine 12', 'spam for recipient { "joe@example.org" } quarantine never'],
  }
  const found = await tryOut(t, now, next, [
    ...delivered({ score: 6, verdict: 'junk' }),
    ...delivered({ score: 13, verdict: 'junk' }),
    ...delivered({ score: 13, verdict: 'junk', to: ['joe@example.org'] }),
    ...delivered({ score: 1 }),
  ])
  assert.deepEqual(summary(found), {
    changes: [
      '1: delivered by "mailbox" as junk -> delivered by "mailbox"',
      '1: delivered by "mailbox" as junk -> held by the filter',
    ],
    reasons: [],
  })
  assert.equal(found.unchanged, 2)
})

test('spam is refused by a threshold only where a refusal could reach its sender, and a virus stays one', async (t) => {
  const next = { rules: scanned, pipeline: ['spam junk 5 reject 10'] }
  const virus = [{ action: 'quarantine', kind: 'virus', reason: 'virus: Eicar' }]
  const id = nextId()
  const held = [
    received(id, ['jane@example.org']),
    {
      at: beganAt,
      event: 'filtered',
      id,
      verdict: 'quarantine',
      score: 12,
      symbols: [],
      mayReject: false,
      demands: virus,
    },
    { at: beganAt, event: 'held', id, rcpt: [0], stage: 'filter', reason: 'virus: Eicar' },
  ]
  const found = await tryOut(t, { rules: scanned, pipeline: ['spam junk 5'] }, next, [
    ...delivered({ score: 12, verdict: 'junk', mayReject: true }),
    ...delivered({ score: 12, verdict: 'junk' }),
    ...held,
  ])
  assert.deepEqual(summary(found).changes, ['1: delivered by "mailbox" as junk -> rejected by the filter'])
  assert.deepEqual([found.unchanged, found.changedSince], [2, 0])
})

test('who was refused before the 250 is let in by a milder threshold', async (t) => {
  const id = nextId()
  const { to, ...begun } = received(id, ['jane@example.org', 'joe@example.org'])
  const found = await tryOut(
    t,
    { rules: scanned, pipeline: ['spam reject 10'] },
    { rules: scanned, pipeline: ['spam reject 15 junk 5'] },
    [
      { at: beganAt, event: 'filtered', id, verdict: 'reject', score: 12, symbols: [], mayReject: true },
      { ...begun, event: 'rejected', stage: 'data', recipients: to, reply: '550 5.7.1 Message content rejected' },
    ],
  )
  assert.deepEqual(summary(found).changes, ['2: rejected by the filter -> delivered by "mailbox" as junk'])
})

test('a recipient that rules refused is let in by others; refusals of which the record does not say why are not judged', async (t) => {
  const next = {
    rules: [
      ...scanned,
      'match from any for domain "example.net" action "out"',
      'match tag Filtered from any for domain "example.com" action "out"',
      'match from any for domain "example.com" action "scan"',
    ],
  }
  const found = await tryOut(t, { rules: scanned }, next, [
    refused('ann@example.net', '550 5.7.1 Relaying denied'),
    refused('ann@example.com', '550 5.7.1 Relaying denied'),
    refused('jane@example.org', '452 4.2.2 Mailbox full'),
    { ...refused('jane@example.org', '550 5.7.1 no'), rdns: undefined },
    refused('jane@example.org', '450 4.7.1 too much', { restriction: 'pipeline.conf:99' }),
  ])
  assert.deepEqual(summary(found), {
    changes: ['1: rejected (550 5.7.1) -> accepted, for the filter', '1: rejected (550 5.7.1) -> relayed by "out"'],
    reasons: [
      '1: refused by a limit, or by a restriction that has changed since',
      '1: refused in the session for what is not in the record: a limit, its content, a mailbox',
      '1: the refusal is in the form of an older version',
    ],
  })
})

test('aliases are followed anew: who gets it besides is a change', async (t) => {
  const local = (aliases: string): Files => ({
    more: [
      `table aliases { ${aliases} }`,
      'action "lists" maildir "/m/%{user.username}" userbase <people> alias <aliases>',
    ],
    rules: ['match from any for domain "example.org" action "lists"'],
  })
  const id = nextId()
  const entries = [
    { ...received(id, ['jane@example.org']), asked: ['info@example.org'] },
    { at: beganAt, event: 'delivered', id, recipient: 'jane@example.org', rcpt: 0, stage: 'deliver', action: 'lists' },
    ...delivered({ action: 'lists' }),
  ]
  const found = await tryOut(t, local('"info" = "jane"'), local('"info" = "jane, joe"'), entries)
  assert.deepEqual(summary(found).changes, [
    '1: delivered by "lists" -> delivered by "lists", in another way or to another address',
  ])
  assert.deepEqual([found.changes[0]?.examples[0]?.to, found.changedSince], ['info@example.org', 0])
})

test('restrictions are judged as far as the record goes', async (t) => {
  const now = { rules: scanned, pipeline: ['restrict rcpt reject dnsbl "zen.example.net"'] }
  const refusing = 'restrict rcpt reject when sender { "@spam.test" }'
  const traffic = [...delivered(), ...delivered({ from: 'win@spam.test' })]
  const more = await tryOut(t, now, { rules: scanned, pipeline: [...now.pipeline, refusing] }, traffic)
  assert.deepEqual(summary(more), {
    changes: ['1: delivered by "mailbox" -> rejected (next-pipeline.conf:3)'],
    reasons: [],
  })
  const asking = 'restrict mail reject sender unknown-domain'
  const other = await tryOut(t, now, { rules: scanned, pipeline: [...now.pipeline, asking] }, traffic)
  assert.deepEqual(summary(other), {
    changes: [],
    reasons: [`2: '${asking}' asks for what is not in the record`],
  })
})

test('what a list in the DNS refused then is refused again, unless the new restrictions let it pass before', async (t) => {
  const list = 'restrict rcpt reject dnsbl "zen.example.net"'
  const now = { rules: scanned, pipeline: [list] }
  const traffic = (folder: string): readonly object[] => [
    refused('jane@example.org', '554 5.7.1 blocked', { restriction: `${folder}/now-pipeline.conf:2` }),
    refused('jane@example.org', '554 5.7.1 blocked', {
      restriction: `${folder}/now-pipeline.conf:2`,
      address: '203.0.113.9',
    }),
  ]
  const same = await tryOut(t, now, { rules: scanned, pipeline: ['spam junk 3', list] }, traffic)
  assert.deepEqual([same.unchanged, same.changed, same.notJudged], [2, 0, 0])
  const permitting = ['restrict rcpt permit from { 203.0.113.0/24 }', list]
  const some = await tryOut(t, now, { rules: scanned, pipeline: permitting }, traffic)
  assert.equal(some.unchanged, 1)
  assert.deepEqual(summary(some), {
    changes: ['1: rejected (now-pipeline.conf:2) -> accepted, for the filter'],
    reasons: [],
  })
  const without = await tryOut(t, now, { rules: scanned }, traffic)
  assert.equal(without.changed, 2)
})

test('what the new rules ask and nobody wrote down is not judged', async (t) => {
  const next = { rules: ['match from rdns "mx.remote.test" for any reject', ...scanned] }
  const old = delivered().map((entry) => ({ ...entry, rdns: undefined }))
  const named = delivered({ rdns: 'mx.remote.test' })
  const found = await tryOut(t, { rules: scanned }, next, [...old, ...named, ...delivered()])
  assert.deepEqual(summary(found), {
    changes: ['1: delivered by "mailbox" -> rejected (next.conf:7)'],
    reasons: ['1: the name of the client is not in the record'],
  })
  const unfiltered = await tryOut(
    t,
    { rules: ['match from any for domain "example.org" action "mailbox"'] },
    { rules: scanned },
    delivered().filter(({ event }) => event !== 'filtered'),
  )
  assert.deepEqual(summary(unfiltered).reasons, ['1: the filter has not looked at it'])
})

test('what went another way than the rules in force say is counted apart, unless an operator sent it there', async (t) => {
  const [gone, moved] = [delivered({ action: 'archive' }), delivered({ action: 'archive' })]
  const rerouted = { at: beganAt, event: 'rerouted', id: moved[0]?.['id'], rcpt: [0] }
  const found = await tryOut(t, { rules: scanned }, { rules: scanned }, [rerouted, ...gone, ...moved])
  assert.deepEqual([found.unchanged, found.changedSince], [2, 1])
})

test('fields and lines that are not known, and messages of before, say nothing', async (t) => {
  const [first, ...rest] = delivered()
  const found = await tryOut(t, { rules: scanned }, { rules: scanned }, [
    { at: beganAt, event: 'filtered', id: nextId(), verdict: 'clean', score: 0 },
    { ...first, later: { than: 'this version' }, to: ['jane@example.org', 7], tls: 12 },
    { at: beganAt, event: 'of another version', id: first?.['id'] },
    ...rest,
    {
      at: 0,
      event: 'received',
      id: nextId(),
      from: null,
      to: ['jane@example.org'],
      listener: '192.0.2.1:25',
      address: '::1',
    },
  ])
  assert.deepEqual([found.messages, found.unchanged, found.notJudged], [1, 1, 0])
})

test('settings that differ and that no record can be held against are named', async (t) => {
  const next = {
    rules: ['match from any mail-from "@a.test" for any reject', ...scanned],
    pipeline: ['spam engine rspamd "http://127.0.0.1:11333"', 'spam junk 3'],
  }
  const found = await tryOut(t, { rules: scanned }, next, [])
  assert.deepEqual(found.notTried, ['pipeline.spam.engines'])
})

test('no more messages are looked at than asked for', async (t) => {
  const found = await tryOut(t, { rules: scanned }, { rules: scanned }, [...delivered(), ...delivered()], 1)
  assert.equal(found.messages, 1)
})
