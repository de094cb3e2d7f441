import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { dayOf, factsFolder } from '../../shared/aggregate-reports/facts.ts'
import type { DmarcFact } from '../../shared/aggregate-reports/facts.ts'
import { factDays, readDmarcFacts } from '../../shared/aggregate-reports/read-facts.ts'
import type { AggregateReportSettings } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import { openFilter } from './index.ts'
import { receivedAt, stageMessage, stranger, testContext, testEnvelope, zoneResolver } from './testing.ts'
import type { TestSettings, Zone } from './testing.ts'

const folders: string[] = []
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true })
})

const from = 'reports@y.example' as Mailbox
const reports: AggregateReportSettings = { dmarc: { from } }

interface Given {
  readonly author?: string
  readonly record?: string
  readonly reports?: AggregateReportSettings
  readonly origin?: Origin
  readonly reversePath?: string | null
  readonly to?: string
  readonly subject?: string
  readonly settings?: TestSettings
}

/** What is told of one message by example.org, which only 192.0.2.0/24 may send for. */
async function told(given: Given = {}): Promise<readonly DmarcFact[]> {
  const zone: Zone = {
    'txt example.org': ['v=spf1 ip4:192.0.2.0/24 -all'],
    'txt _dmarc.example.org': [given.record ?? 'v=DMARC1; p=reject; sp=none; rua=mailto:d@example.org'],
  }
  const dataFolder = await mkdtemp(join(tmpdir(), 'dmarc-'))
  folders.push(dataFolder)
  const settings = { ...given.settings, aggregateReports: given.reports ?? reports }
  const context = { ...testContext(zoneResolver(zone), settings).context, dataFolder }
  const stage = await openFilter(context, 1)
  const content = Buffer.from(
    `From: Jane <jane@${given.author ?? 'example.org'}>\r\nSubject: ${given.subject ?? 'Secret'}\r\n\r\nx\r\n`,
  )
  const envelope = testEnvelope(given.origin, given.reversePath)
  const to = (given.to ?? 'x@y.example') as Mailbox
  await stage.handle(stageMessage(content, { ...envelope, recipients: [{ mailbox: to }] }), context)
  await stage.close()
  return [...(await readDmarcFacts(dataFolder, dayOf(receivedAt))).byDomain.values()].flat().map(({ fact }) => fact)
}

const forger: Origin = { ...stranger, address: '198.51.100.1' }

test('a domain is told who sent in its name and what its policy did, and nothing of people', async () => {
  const [fact, ...others] = await told()
  assert.deepEqual(fact, {
    domain: 'example.org',
    published: { p: 'reject', sp: 'none', adkim: 'r', aspf: 'r', pct: 100 },
    sourceIp: '192.0.2.7',
    disposition: 'none',
    dkim: 'fail',
    spf: 'pass',
    headerFrom: 'example.org',
    envelopeFrom: 'example.org',
    signatures: [],
    spfCheck: { domain: 'example.org', scope: 'mfrom', result: 'pass' },
  } satisfies DmarcFact)
  assert.deepEqual(others, [])
  assert.doesNotMatch(JSON.stringify(fact), /jane|Secret|x@/)
})

test('mail that fails is told with what was done, and why less than was asked', async () => {
  const [junk] = await told({ origin: forger })
  assert.deepEqual(
    [junk?.disposition, junk?.reasons],
    ['quarantine', [{ type: 'local_policy', comment: 'marked as junk' }]],
  )
  const trusted = {
    spam: { clean: [{ kind: 'src', table: { name: 't', source: { kind: 'inline', list: ['198.51.100.1'] } } }] },
  }
  const [clean] = await told({ origin: forger, settings: trusted as unknown as TestSettings })
  assert.equal(clean?.disposition, 'none')
  const [sampled] = await told({ origin: forger, record: 'v=DMARC1; p=quarantine; pct=0; rua=mailto:d@example.org' })
  assert.deepEqual([sampled?.disposition, sampled?.reasons], ['none', [{ type: 'sampled_out' }]])
})

test('a subdomain is told to the domain that has the record; the null reverse-path has no domain', async () => {
  const [fact] = await told({ author: 'shop.example.org', reversePath: null })
  assert.deepEqual([fact?.domain, fact?.headerFrom, fact?.envelopeFrom], ['example.org', 'shop.example.org', ''])
  assert.deepEqual(fact?.spfCheck, { domain: 'mail.example.org', scope: 'helo', result: 'none' })
})

test('a report of another host is no mail to report, but only if it is its own', async () => {
  const subject = 'Report Domain: y.example\r\n Submitter: example.org\r\n Report-ID: <1@example.org>'
  assert.deepEqual(await told({ subject }), [])
  assert.equal((await told({ subject, origin: forger })).length, 1)
})

test('nothing is told of domains that do not ask, of our own users, of answers to reports, or when it is off', async () => {
  assert.deepEqual(await told({ record: 'v=DMARC1; p=reject' }), [])
  assert.deepEqual(await told({ author: 'other.example' }), [])
  assert.deepEqual(await told({ origin: { ...stranger, user: 'jane' } }), [])
  assert.deepEqual(await told({ to: 'Reports@y.example' }), [])
  assert.deepEqual(await told({ reports: { tls: { from } } }), [])
  for (const folder of folders.slice(-5))
    assert.deepEqual(await factDays(folder, 'dmarc'), [], factsFolder(folder, 'dmarc'))
})
