import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { PipelineSettings, Table } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope, Origin } from '../../shared/mail/envelope.ts'
import { tag } from '../../shared/mail/tag.ts'
import { gtube } from './gtube.ts'
import { openFilter } from './index.ts'
import { blockOf, rulesFor, trustOf } from '../../shared/spam/spam-policy.ts'
import { headerBehind, listTable, stageMessage, stranger, testContext, testEnvelope, zoneResolver } from './testing.ts'
import type { TestSettings } from './testing.ts'

const tables = openTables()
const plain: PipelineSettings['spam'] = {
  junk: 5,
  discard: 20,
  header: 'X-Spam',
  reportSafe: false,
  engines: [],
  policies: [],
  clean: [],
  blocked: [],
  lists: [],
}

function envelopeFor(recipients: readonly string[], tags: readonly string[] = []): Envelope {
  return {
    ...testEnvelope(),
    recipients: recipients.map((mailbox) => ({ mailbox: mailbox as Mailbox })),
    tags: tags.map(tag),
  }
}

function thresholds(policies: PipelineSettings['spam']['policies'], envelope: Envelope): object {
  const { header: _header, ...rest } = rulesFor(
    { ...plain, policies },
    envelope,
    [...envelope.recipients.keys()],
    tables,
  )
  return rest
}

test('the first policy that fits holds, and what it does not state is as for all', () => {
  const policies: PipelineSettings['spam']['policies'] = [
    { for: { kind: 'tag', tag: 'Originating' }, junk: 'never', discard: 'never' },
    { for: { kind: 'domain', table: listTable('strict.example') }, junk: 2, subject: '[junk]' },
    { for: { kind: 'domain', table: listTable('*.example') }, junk: 3 },
  ]
  assert.deepEqual(thresholds(policies, envelopeFor(['a@other.test'])), { junk: 5, discard: 20 })
  assert.deepEqual(thresholds(policies, envelopeFor(['a@strict.example'])), {
    junk: 2,
    discard: 20,
    subject: '[junk]',
  })
  assert.deepEqual(thresholds(policies, envelopeFor(['a@x.example'])), { junk: 3, discard: 20 })
  assert.deepEqual(thresholds(policies, envelopeFor(['a@strict.example'], ['ORIGINATING'])), {})
})

test('a recipient has thresholds of his own, whatever his domain has', () => {
  const policies: PipelineSettings['spam']['policies'] = [
    { for: { kind: 'recipient', table: listTable('ann@strict.example') }, junk: 8 },
    { for: { kind: 'domain', table: listTable('strict.example') }, junk: 2 },
  ]
  assert.deepEqual(thresholds(policies, envelopeFor(['Ann@strict.example'])), { junk: 8, discard: 20 })
  assert.deepEqual(thresholds(policies, envelopeFor(['bob@strict.example'])), { junk: 2, discard: 20 })
})

test("one recipient's strictness takes no mail from another", () => {
  const policies: PipelineSettings['spam']['policies'] = [
    { for: { kind: 'domain', table: listTable('strict.example') }, junk: 2, discard: 4 },
    { for: { kind: 'domain', table: listTable('mild.example') }, discard: 'never' },
  ]
  assert.deepEqual(thresholds(policies, envelopeFor(['a@strict.example', 'b@other.test'])), { junk: 5, discard: 20 })
  assert.deepEqual(thresholds(policies, envelopeFor(['a@strict.example', 'b@mild.example'])), { junk: 5 })
})

test('an entry that fits any domain makes no stranger trusted', () => {
  const clean = [{ kind: 'mail-from', table: listTable('jane', '@') }] as const
  assert.equal(trustOf({ ...plain, clean }, testEnvelope(), tables), undefined)
})

const message = Buffer.from(`From: jane@example.org\r\nSubject: Hello\r\n\r\n${gtube}\r\n`)
const records = { 'txt example.org': ['v=spf1 ip4:192.0.2.0/24 -all'] }
const forger: Origin = { ...stranger, address: '198.51.100.1' }

async function headerOf(
  settings: TestSettings,
  origin: Origin = stranger,
  tags: readonly string[] = [],
): Promise<string> {
  const { context } = testContext(zoneResolver(records), settings)
  const stage = await openFilter(context)
  const envelope = { ...testEnvelope(origin), tags: tags.map(tag) }
  const disposition = await stage.handle(stageMessage(message, envelope), context)
  await stage.close()
  return headerBehind(message, disposition)
}

function clean(...conditions: PipelineSettings['spam']['clean']): TestSettings {
  return { spam: { junk: 5, clean: conditions } }
}

test('mail of a trusted network, or with a trusted tag, is not searched for spam and still stamped', async () => {
  const network = await headerOf(clean({ kind: 'src', table: listTable('192.0.2.0/24') }))
  assert.match(network, /^X-Spam-Status: No, score=0 required=5 tests=TRUSTED=0$|tests=TRUSTED=0/m)
  assert.doesNotMatch(network, /GTUBE|X-Spam-Flag/)
  assert.match(network, /^Authentication-Results: sluice\.example;\r\n\tspf=pass/m)
  assert.match(await headerOf(clean({ kind: 'src', table: listTable('192.0.2.0/24') }), forger), /GTUBE=1000/)
  assert.match(await headerOf(clean({ kind: 'tag', tag: 'Internal' }), stranger, ['Internal']), /TRUSTED=0/)
})

test('a trusted sender is trusted when SPF proves it, a forger is not', async () => {
  const settings = clean({ kind: 'mail-from', table: listTable('@example.org') })
  assert.match(await headerOf(settings), /TRUSTED=0/)
  const forged = await headerOf(settings, forger)
  assert.match(forged, /GTUBE=1000/)
  assert.doesNotMatch(forged, /TRUSTED/)
})

test("a list that is welcome, and proven by SPF, passes its members' mail whatever DMARC policy their domains have", async () => {
  const posting = Buffer.from('From: ceo@bank.example\r\nSubject: [list] x\r\n\r\nhello\r\n')
  const zone = zoneResolver({ ...records, 'txt _dmarc.bank.example': ['v=DMARC1; p=reject'] })
  const headerFor = async (settings: TestSettings, origin: Origin) => {
    const { context } = testContext(zone, settings)
    const stage = await openFilter(context)
    const disposition = await stage.handle(stageMessage(posting, testEnvelope(origin)), context)
    await stage.close()
    return headerBehind(posting, disposition)
  }
  const welcome = clean({ kind: 'mail-from', table: listTable('jane@example.org') })
  const junk = /^X-Spam-Flag: YES/m
  const listed = await headerFor(welcome, stranger)
  assert.doesNotMatch(listed, junk)
  assert.match(listed, /dmarc=fail/)
  assert.match(await headerFor(welcome, forger), junk, 'somebody else in its name')
  assert.match(await headerFor({ spam: { junk: 5 } }, stranger), junk)
})

test('mail of who is blocked is spam without a look, unless it is proven to be of somebody trusted', async () => {
  const ordinary = Buffer.from('From: jane@example.org\r\nSubject: x\r\n\r\nhello\r\n')
  const isSpam = async (spam: TestSettings['spam'], to = ['x@y.example'], tags: readonly string[] = []) => {
    const { context } = testContext(zoneResolver(records), { spam: { junk: 5, ...spam } })
    const stage = await openFilter(context)
    const message = stageMessage(ordinary, envelopeFor(to, tags))
    const disposition = await stage.handle({ ...message, pending: to.map((_, index) => index) }, context)
    await stage.close()
    return /^X-Spam-Status: Yes, score=100 [^]*tests=[^]*BLOCKED=100/m.test(headerBehind(ordinary, disposition))
  }
  const senders = { kind: 'mail-from', table: listTable('jane@example.org') } as const
  assert.equal(await isSpam({ blocked: [senders] }), true)
  assert.equal(await isSpam({ blocked: [{ kind: 'src', table: listTable('192.0.2.0/24') }] }), true)
  assert.equal(await isSpam({ blocked: [{ kind: 'tag', tag: 'Bad' }] }, ['x@y.example'], ['Bad']), true)
  assert.equal(await isSpam({ blocked: [{ kind: 'tag', tag: 'Bad' }] }), false)
  const trap = { kind: 'rcpt-to', table: listTable('trap@y.example') } as const
  assert.equal(await isSpam({ blocked: [trap] }, ['trap@y.example']), true)
  assert.equal(await isSpam({ blocked: [trap] }, ['trap@y.example', 'x@y.example']), false, 'another wants it')
  assert.equal(await isSpam({ blocked: [senders], clean: [senders] }), false, 'SPF proves that it is hers')
})

test('why mail is blocked or trusted names the list, if it has a name', () => {
  const inline = { ...listTable('192.0.2.0/24'), name: '<inline 4>' }
  const reasonOf = (table: Table): string | undefined =>
    blockOf({ ...plain, blocked: [{ kind: 'src', table }] }, envelopeFor(['x@y.example']), [0], tables)
  assert.equal(reasonOf(listTable('192.0.2.0/24')), 'client in <list>')
  assert.equal(reasonOf(inline), 'client in a list')
})

test('junk tells its level and each finding, in lines that a header field may have', async () => {
  const header = await headerOf({ spam: { junk: 5 } }, forger)
  assert.match(header, /^X-Spam-Level: \*{50}\r$/m)
  assert.match(
    header,
    /^X-Spam-Report: spam score 10\d\d\.?\d* of 5\r\n(?:\t\*.*\r\n)*\t\* 1000\.0 GTUBE the generic test for unsolicited bulk mail\r$/m,
  )
  assert.match(header, /\t\* +1\.5 SPF_FAIL example\.org does not send from this client\r\n/)
})
