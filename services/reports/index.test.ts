import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { ConfigurationFollower } from '../../shared/config/live-configuration.ts'
import type { Configuration } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { stageMessage } from '../../shared/pipeline/testing.ts'
import { ReceivedReportsReader } from '../../shared/received-reports/reader.ts'
import { receivedReportsFolder } from '../../shared/received-reports/store.ts'
import type { ServiceContext } from '../../shared/service.ts'
import reports, { openReports } from './index.ts'
import { dmarcXml, feedbackMail, gzipped, reportMail, tlsJson } from './testing.ts'

const receivedAt = Date.UTC(2026, 10, 21, 12)

async function stageFor(t: TestContext, mail: 'pass' | 'discard' = 'pass') {
  const dataFolder = await mkdtemp(join(tmpdir(), 'reports-'))
  const told: object[] = []
  const context = {
    dataFolder,
    configuration: {
      authservId: 'mx.example.org',
      pipeline: { queues: new Map([['reports', { tag: 'Read' }]]), receivedReports: { keepMs: 1, mail } },
    },
    events: {
      reportReceived: (fields: object) => told.push(fields),
      reportUnreadable: (fields: object) => told.push(fields),
    },
    signal: new AbortController().signal,
  } as unknown as StageContext
  const stage = openReports(context)
  t.after(async () => {
    await stage.close()
    await rm(dataFolder, { recursive: true })
  })
  return {
    told,
    reader: new ReceivedReportsReader(receivedReportsFolder(dataFolder)),
    handle: (content: Buffer, edits: readonly HeaderEdit[] = [], envelope = envelopeOf()) =>
      stage.handle(stageMessage(content, envelope, edits), context),
  }
}

function envelopeOf(): Envelope {
  return {
    id: newMessageId(receivedAt),
    reversePath: 'dmarc@receiver.test' as Mailbox,
    recipients: [{ mailbox: 'dmarc@example.org' as Mailbox }],
    tags: [],
    origin: { kind: 'local' },
    receivedAt,
  } as unknown as Envelope
}

const results = (value: string): HeaderEdit => ({
  kind: 'prepend',
  fields: `Authentication-Results: mx.example.org;\r\n\tspf=pass;\r\n\tdmarc=${value} header.from=receiver.test\r\n`,
})

test('reports are kept with what our filter says of the mail that brought them, and the mail goes on', async (t) => {
  const { handle, reader, told } = await stageFor(t)
  const tls = { type: 'application/tlsrpt+json', octets: Buffer.from(tlsJson()) }
  const mail = reportMail([gzipped(dmarcXml()), tls])
  assert.deepEqual(await handle(mail, [results('pass')]), { kind: 'pass', tag: 'Read', edits: [] })
  const [dmarc] = (await reader.read('dmarc', 0)).reports
  assert.deepEqual(dmarc?.mail, { domain: 'receiver.test', dmarc: 'pass' })
  assert.deepEqual([dmarc?.receivedAt, dmarc?.domain], [receivedAt, 'example.org'])
  assert.equal((await reader.read('tls', 0)).reports[0]?.policies[0]?.failed, 3)
  assert.deepEqual(
    told.map((one) => 'about' in one && one.about),
    ['example.org', 'example.org'],
  )
  await handle(feedbackMail(['Feedback-Type: abuse', 'User-Agent: x/1']))
  assert.equal((await reader.read('abuse', 0)).reports[0]?.type, 'abuse')
})

test('what a stranger writes of himself into the header is not believed', async (t) => {
  const { handle, reader } = await stageFor(t)
  const forged = 'Authentication-Results: mx.example.org; dmarc=pass header.from=receiver.test\r\n'
  await handle(Buffer.concat([Buffer.from(forged), reportMail([gzipped(dmarcXml())])]), [results('fail')])
  await handle(Buffer.concat([Buffer.from(forged), reportMail([gzipped(dmarcXml({ reportId: '2' }))])]))
  const read = (await reader.read('dmarc', 0)).reports.map(({ reportId, mail }) => `${reportId} ${mail.dmarc}`)
  assert.deepEqual(read.toSorted(), ['2 undefined', '4711 fail'])
})

test('mail without a readable report goes on with the tag Unparsed, and its story says why', async (t) => {
  for (const choice of ['pass', 'discard'] as const) {
    const { handle, reader, told } = await stageFor(t, choice)
    assert.deepEqual(await handle(reportMail([gzipped('<broken>')])), {
      kind: 'pass',
      tag: 'Read',
      edits: [],
      also: ['Unparsed'],
    })
    assert.deepEqual((await reader.read('dmarc', 0)).reports, [])
    assert.match(JSON.stringify(told), /root element of the XML is <broken>/)
  }
})

test('with mail discard only what is kept is discarded', async (t) => {
  const { handle } = await stageFor(t, 'discard')
  assert.deepEqual(await handle(reportMail([gzipped(dmarcXml())])), { kind: 'discard', reason: 'its report is kept' })
})

test('the same message handled twice, as after a crash, leaves one report and both times goes on', async (t) => {
  const { handle, reader, told } = await stageFor(t)
  const envelope = envelopeOf()
  const mail = reportMail([gzipped(dmarcXml())])
  for (const _ of [1, 2]) assert.equal((await handle(mail, [], envelope)).kind, 'pass')
  assert.equal((await reader.read('dmarc', 0)).reports.length, 1)
  assert.deepEqual(
    told.map((one) => 'kept' in one && one.kept),
    ['kept', 'kept'],
  )
  await handle(mail)
  assert.equal((await reader.read('dmarc', 0)).reports.length, 1)
  assert.deepEqual('kept' in (told[2] ?? {}) && (told[2] as { readonly kept: string }).kept, 'known')
})

test('the queue is worked on when the configuration has it, from the start or after a reload', async (t) => {
  const without = { pipeline: { queues: new Map() } } as unknown as Configuration
  const withQueue = { pipeline: { queues: new Map([['reports', { tag: 'Reports' }]]) } } as unknown as Configuration
  for (const first of [without, withQueue]) {
    const worked: string[] = []
    let follower: ConfigurationFollower | undefined
    let begun = (): void => undefined
    const working = new Promise<void>((resolve) => {
      begun = resolve
    })
    const service = await reports.start({
      dataFolder: '/nowhere',
      configuration: first,
      live: {
        texts: new Map(),
        origin: undefined,
        follow: (one: ConfigurationFollower) => {
          follower ??= one
          return () => undefined
        },
      },
      queues: {
        work(queue: string) {
          worked.push(queue)
          begun()
          return { lastTakenAt: 5, setConcurrency: () => undefined, close: async () => undefined }
        },
      },
    } as unknown as ServiceContext)
    t.after(() => service.close())
    assert.deepEqual(worked, first === without ? [] : ['reports'])
    if (first === without) (await follower?.prepare(withQueue))?.commit()
    await working
    assert.deepEqual(worked, ['reports'])
  }
})
