import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { dayOf } from '../../shared/aggregate-reports/facts.ts'
import { noteSent } from '../../shared/aggregate-reports/sent-log.ts'
import { dmarcFact, tlsFact, writeFacts } from '../../shared/aggregate-reports/testing.ts'
import { startDns } from '../../test/support/dns.ts'
import { runPrinting } from './testing.ts'
import type { Printed } from './testing.ts'

const seenAt = Date.now() - 86_400_000
const day = dayOf(seenAt)

interface Given {
  readonly pipeline?: string
}

async function place(
  t: TestContext,
  { pipeline = 'report dmarc from "d@x.test"\nreport tls from "t@x.test"' }: Given = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'ctl-reports-'))
  const dns = await startDns({
    '_dmarc.north.test': { TXT: ['v=DMARC1; p=reject; rua=mailto:in@north.test,mailto:out@far.test'] },
  })
  t.after(async () => {
    await dns.stop()
    await rm(folder, { recursive: true })
  })
  const dataFolder = join(folder, 'data')
  await mkdir(dataFolder)
  await writeFile(join(folder, 'smtpd.conf'), 'action "out" relay\nmatch from local for any action "out"\n')
  await writeFile(join(folder, 'pipeline.conf'), `resolver "${dns.address}"\n${pipeline}\n`)
  const environment = {
    SMTPD_CONF: join(folder, 'smtpd.conf'),
    PIPELINE_CONF: join(folder, 'pipeline.conf'),
    SLUICE_DATA: dataFolder,
    SMTPD_HOSTNAME: 'mx.x.test',
  }
  const ctl = (...words: readonly string[]): Promise<Printed> => runPrinting(['reports', ...words], environment)
  return { ctl, dataFolder }
}

test('what is collected, what went and why something could not go is seen', async (t) => {
  const { ctl, dataFolder } = await place(t)
  assert.match((await ctl('list')).out, /^Nothing is collected/)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact(), dmarcFact({ domain: 'south.test' })], seenAt)
  await writeFacts(dataFolder, 'tls', [tlsFact(), tlsFact()], Date.now())
  const entry = { at: Date.now(), domain: 'north.test', uri: 'mailto:out@far.test', count: 1 } as const
  await noteSent(dataFolder, 'dmarc', day, { ...entry, result: 'impossible', reason: 'it does not agree' })
  const { code, out } = await ctl('list')
  assert.equal(code, 0)
  assert.match(
    out,
    new RegExp(`^${day}  dmarc  north\\.test +1  impossible .* to mailto:out@far\\.test \\(it does not agree\\)$`, 'm'),
  )
  assert.match(out, new RegExp(`^${day}  dmarc  south\\.test +1  due not before `, 'm'))
  assert.match(out, /tls +far\.test +2 {2}collecting$/m)
  const { reports } = JSON.parse((await ctl('list', '--kind', 'tls', '--json')).out) as {
    reports: { domain: string }[]
  }
  assert.deepEqual(
    reports.map(({ domain }) => domain),
    ['far.test'],
  )
})

test('a dry run prints what would be told to whom, and sends nothing', async (t) => {
  const { ctl, dataFolder } = await place(t)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact(), dmarcFact()], seenAt)
  const { code, out } = await ctl('send', '--day', day, '--dry-run')
  assert.equal(code, 0)
  assert.match(
    out,
    new RegExp(
      `^dmarc ${day} north\\.test \\(2\\) to mailto:in@north\\.test, mailto:out@far\\.test \\(far\\.test does not say`,
    ),
  )
  assert.match(out, /<org_name>mx\.x\.test<\/org_name>[^]*<count>2<\/count>/)
  assert.match((await ctl('list')).out, /due not before/)
  assert.match((await ctl('send', '--day', day, '--dry-run', '--kind', 'tls')).out, /^Nothing was collected/)
})

test('a day that is not over, or is none, is not sent', async (t) => {
  const { ctl } = await place(t)
  assert.match((await ctl('send', '--day', dayOf(Date.now()))).errors, /is not over in UTC/)
  for (const text of ['yesterday', '2026-02-30', '9999-01-01'])
    assert.match((await ctl('send', '--day', text)).errors, /a day that has begun is wanted/)
  assert.match((await ctl('list', '--kind', 'spf')).errors, /dmarc or tls is wanted/)
  const off = await place(t, { pipeline: '' })
  assert.match((await off.ctl('send', '--dry-run')).errors, /no reports are switched on/)
})
