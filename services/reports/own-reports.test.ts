import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sendDay } from '../../shared/aggregate-reports/send-day.ts'
import { dmarcFact, testDay, testSending, tlsFact, writeFacts } from '../../shared/aggregate-reports/testing.ts'
import { readReports } from './read-reports.ts'

const { signal } = new AbortController()

test('the reports that one Sluice sends are read by another', async (t) => {
  const { parts, mails, dataFolder, from, remove } = await testSending({
    zone: {
      'txt _dmarc.north.test': ['v=DMARC1; p=reject; rua=mailto:d@north.test'],
      'txt _smtp._tls.far.test': ['v=TLSRPTv1; rua=mailto:t@far.test'],
    },
  })
  t.after(remove)
  const sender = { from, organisation: 'Müller & <Söhne>' }
  await writeFacts(dataFolder, 'dmarc', [
    dmarcFact(),
    dmarcFact(),
    dmarcFact({ sourceIp: '2001:db8::7', dkim: 'fail' }),
  ])
  await writeFacts(dataFolder, 'tls', [
    tlsFact(),
    tlsFact({ failure: { result: 'certificate-expired', host: 'mx.far.test' } }),
  ])
  for (const kind of ['dmarc', 'tls'] as const) await sendDay(parts, { kind, day: testDay, sender, signal })
  const [dmarc, tls] = mails.map(({ text }) => readReports(Buffer.from(text)))
  assert.deepEqual([dmarc?.faults, tls?.faults], [[], []])
  const [told] = dmarc?.reports ?? []
  assert.ok(told?.kind === 'dmarc')
  assert.deepEqual([told.org, told.domain, told.policy.p], [sender.organisation, 'north.test', 'reject'])
  assert.deepEqual(
    told.rows.map(({ ip, count, dkim }) => [ip, count, dkim]),
    [
      ['192.0.2.7', 2, true],
      ['2001:db8::7', 1, false],
    ],
  )
  assert.equal(tls?.reports[0]?.kind, 'tls')
})
