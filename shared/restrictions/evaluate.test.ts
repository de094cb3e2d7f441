import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import fc from 'fast-check'

import type { Restriction, RestrictionRule, Table } from '../config/model.ts'
import { openTables } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { replies } from '../mail/reply.ts'
import type { LookUp } from '../resolver.ts'
import { boundedDns } from './dns.ts'
import { dnsblName } from './dnsbl.ts'
import { evaluate } from './evaluate.ts'
import { isFullyQualified, isHostName } from './host-name.ts'
import type { Means, Question } from './question.ts'
import { parseReply } from './replies.ts'
import { zoneResolver } from './testing.ts'

const at = { file: 'pipeline.conf', line: 1, column: 1 }

function restriction(rule: RestrictionRule, stage: Restriction['stage'] = 'rcpt'): Restriction {
  return { stage, rule, text: 'restrict', at }
}

const question: Question = {
  client: { address: '192.0.2.1', own: false, name: () => Promise.resolve({ forward: 'fail' }) },
  helo: 'mail.example.org',
  secure: false,
  pipelined: false,
  sender: { text: 'a@example.org', mailbox: 'a@example.org' as Mailbox, bare: false },
  asStranger: () => Promise.resolve({ kind: 'rejected', reply: replies.relayDenied }),
  firstTime: () => true,
}

function means(changes: Partial<Means> = {}): Means {
  const usual = {
    tables: openTables(),
    dns: zoneResolver({}),
    delimiter: '+',
    greylist: { waitMs: () => Promise.resolve(0) },
    spfPasses: () => Promise.resolve(false),
    log: silentLog(),
  }
  return { ...usual, sleep: () => Promise.resolve(), ...changes }
}

test('a changed access table holds without a restart, one that cannot be read is never taken for no', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'access-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'senders')
  let nowAt = 0
  const table: Table = { name: 'senders', source: { kind: 'file', path }, at }
  const list = [restriction({ kind: 'check', subject: 'sender', table })]
  const asked = means({ tables: openTables({ now: () => nowAt }) })
  await assert.rejects(evaluate(list, question, asked), { name: 'TableError' })
  writeFileSync(path, 'a@example.org REJECT\n')
  assert.equal((await evaluate(list, question, asked)).kind, 'refused')
  writeFileSync(path, 'a@example.org DUNNO for now\n')
  nowAt += 5_000
  assert.equal((await evaluate(list, question, asked)).kind, 'passed')
})

test('patterns are compared with the whole of an address, and not with parts of it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'patterns-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'senders.regexp')
  writeFileSync(path, '/^example\\.org$/ REJECT\n/^b@/ REJECT\n')
  const table: Table = { name: 'senders', source: { kind: 'patterns', path, format: 'regexp' }, at }
  const list = [restriction({ kind: 'check', subject: 'sender', table })]
  assert.equal((await evaluate(list, question, means())).kind, 'passed')
  const other = { ...question, sender: { text: 'b@example.org', mailbox: 'b@example.org' as Mailbox, bare: false } }
  assert.equal((await evaluate(list, other, means())).kind, 'refused')
})

test('internationalised domains are looked up as DNS has them, and have a dot', async () => {
  const sender = { text: 'a@bücher.example', mailbox: 'a@bücher.example' as Mailbox, bare: false }
  const dns = zoneResolver({ 'mx xn--bcher-kva.example': ['mx.example'] })
  const rules = ['non-fqdn', 'unknown-domain'].map((fault) =>
    restriction({ kind: 'sender', fault: fault as 'non-fqdn' }),
  )
  assert.equal((await evaluate(rules, { ...question, sender }, means({ dns }))).kind, 'passed')
})

test('a server that never answers holds up no session, and refuses nothing for good', async () => {
  const silent = (): Promise<never> => new Promise(() => undefined)
  const dns = boundedDns({ a: silent, aaaa: silent, mx: silent, txt: silent }, 1)
  const codes: string[] = []
  for (const rule of [
    { kind: 'dnsbl', zone: 'list.example' },
    { kind: 'helo', fault: 'unknown' },
    { kind: 'sender', fault: 'unknown-domain' },
  ] as const) {
    const verdict = await evaluate([restriction(rule)], question, means({ dns }))
    codes.push(verdict.kind === 'refused' ? `${verdict.reply.code} ${verdict.reply.enhanced}` : verdict.kind)
  }
  assert.deepEqual(codes, ['passed', '450 4.7.1', '450 4.1.8'])
})

test('the lists of one stage are asked at once', async () => {
  const asked: string[] = []
  const answers: (() => void)[] = []
  const dns = {
    ...zoneResolver({}),
    a(name: string) {
      asked.push(name)
      return new Promise<LookUp<string>>((resolve) => answers.push(() => resolve({ kind: 'absent', name: true })))
    },
  }
  const list = ['one.example', 'two.example', 'three.example'].map((zone) => restriction({ kind: 'dnsbl', zone }))
  const verdict = evaluate(list, question, means({ dns }))
  await nextTurn()
  assert.deepEqual(
    new Set(asked),
    new Set(list.map((_, index) => `1.2.0.192.${['one', 'two', 'three'][index]}.example`)),
  )
  let isOver = false
  void verdict.then(() => (isOver = true))
  while (!isOver) {
    answers.shift()?.()
    await nextTurn()
  }
  assert.equal((await verdict).kind, 'passed')
})

test('rules that cannot tell now do not refuse for good', async () => {
  const asked = {
    ...question,
    recipient: { text: 'x@example.net', mailbox: 'x@example.net' as Mailbox, bare: false },
    asStranger: () => Promise.resolve({ kind: 'rejected' as const, reply: replies.tryLater }),
  }
  const verdict = await evaluate([restriction({ kind: 'unauthorised-destination' })], asked, means())
  assert.equal(verdict.kind === 'refused' && verdict.reply.code, 451)
})

test('the names that lists are asked for (RFC 5782)', () => {
  assert.equal(dnsblName('192.0.2.99', 'bl.example'), '99.2.0.192.bl.example')
  assert.equal(
    dnsblName('2001:db8:1:2:3:4:567:89ab', 'bl.example'),
    'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example',
  )
  assert.equal(dnsblName('::1', 'bl.example')?.length, 64 + 'bl.example'.length)
  assert.equal(dnsblName('fe80::1%eth0', 'bl.example')?.startsWith('1.0.0.'), true)
  assert.equal(dnsblName('nothing', 'bl.example'), undefined)
})

test('what is a host name', () => {
  for (const name of ['a', 'a.b', 'under_score.example', 'x-1.example.', '1and1.example', 'a.b.c.d'])
    assert.equal(isHostName(name), true, name)
  for (const name of ['', '.', 'a..b', '-a.b', 'a-.b', 'a!b', '192.0.2.1', `${'a'.repeat(64)}.b`, 'a b', '[192.0.2.1]'])
    assert.equal(isHostName(name), false, name)
  for (const name of ['a.b', '[192.0.2.1]', '[IPv6:::1]']) assert.equal(isFullyQualified(name), true, name)
  for (const name of ['a', 'a.', '[x]', '[IPv6:x]', '192.0.2.1']) assert.equal(isFullyQualified(name), false, name)
})

test('any text of a table is a reply that can be sent', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const { code, enhanced } = parseReply(`554 ${text}`)
      assert.ok(code === 554 && /^[45]\.\d+\.\d+$/.test(enhanced ?? ''))
    }),
  )
})
