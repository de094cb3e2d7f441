import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { SpamAssassinEngine } from '../../../shared/config/model.ts'
import type { Disposition } from '../../../shared/mail/disposition.ts'
import { openFilter } from '../index.ts'
import { headerBehind, stageMessage, testContext, testEnvelope, zoneResolver } from '../testing.ts'

interface FakeSpamd {
  readonly port: number
  readonly asked: string[]
}

/** Answers when the other side has said everything, and closes. */
async function startSpamd(t: TestContext, answer: string): Promise<FakeSpamd> {
  const asked: string[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = []
    socket.on('error', () => {}).on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => {
      asked.push(Buffer.concat(chunks).toString())
      socket.end(answer)
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => server.close(resolve)))
  return { port: (server.address() as AddressInfo).port, asked }
}

const received = 'Received: from mail.example.org ([192.0.2.7]) by mx.sluice.example; now\r\n'

async function filtered(
  port: number,
  changes: Partial<SpamAssassinEngine> = {},
  mail = Buffer.from('From: jane@example.org\r\n\r\nHello\r\n'),
): Promise<{ readonly disposition: Disposition; readonly header: string; readonly events: readonly object[] }> {
  const engine: SpamAssassinEngine = {
    kind: 'spamassassin',
    place: { kind: 'tcp', host: '127.0.0.1', port },
    weight: 1,
    timeoutMs: 60_000,
    onFailure: 'proceed',
    ...changes,
  }
  const { context, events } = testContext(zoneResolver({}), { spam: { junk: 5, engines: [engine] } })
  const stage = await openFilter(context)
  const message = stageMessage(mail, testEnvelope(), [{ kind: 'prepend', fields: received }])
  const disposition = await stage.handle(message, context)
  await stage.close()
  return { disposition, events, header: disposition.kind === 'pass' ? headerBehind(mail, disposition) : '' }
}

const report = [
  'Spam detection software has identified this incoming email as possible spam.',
  'Content preview:  a forger quotes',
  '---- ---------------------- --------------------------------------------------',
  '-9.9 FORGED                 a rule of his own',
  'Content analysis details:   (7.4 points, 5.0 required)',
  '',
  ' pts rule name              description',
  '---- ---------------------- --------------------------------------------------',
  ' 2.7 MISSING_DATE           Missing Date: header',
  ' 4.8 RCVD_IN_LIST           RBL: Received via a relay in a list that has',
  '                            a long name',
  '-0.1 DKIM_VALID             Message has a valid signature',
  '',
].join('\n')

const spam = `SPAMD/1.1 0 EX_OK\r\nContent-length: ${report.length}\r\nSpam: True ; 7.4 / 5.0\r\n\r\n${report}`

test('spamd sees our Received and the reverse-path, and each rule stands in the header with its score', async (t) => {
  const spamd = await startSpamd(t, spam)
  const { header, events } = await filtered(spamd.port)
  assert.match(header, /^X-Spam-Flag: YES\r$/m)
  assert.match(
    header.replaceAll(/\r\n[ \t]+/g, ' '),
    /^X-Spam-Status: Yes, score=7\.4 required=5 tests=MISSING_DATE=2\.7, RCVD_IN_LIST=4\.8, DKIM_VALID=-0\.1\r$/m,
  )
  assert.doesNotMatch(header, /FORGED/)
  assert.match(JSON.stringify(events), /RCVD_IN_LIST 4\.8 RBL: Received via a relay in a list that has a long name/)
  const message = `Return-Path: <jane@example.org>\r\n${received}From: jane@example.org\r\n\r\nHello\r\n`
  assert.equal(spamd.asked[0], `REPORT SPAMC/1.5\r\nContent-length: ${message.length}\r\n\r\n${message}`)
})

test('a report without the table still gives the score', async (t) => {
  const spamd = await startSpamd(t, 'SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1.5 / 5.0\r\n\r\nAn own template.\n')
  assert.match((await filtered(spamd.port)).header, /^X-Spam-Status: No, score=-1\.5 required=5 tests=none\r$/m)
})

test('a spamd that is away or says nonsense makes mail wait or is left out, and is told of', async (t) => {
  for (const answer of ['', 'SPAMD/1.0 74 EX_IOERR\r\n\r\n', 'SPAMD/1.1 0 EX_OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n']) {
    const spamd = await startSpamd(t, answer)
    assert.match((await filtered(spamd.port)).header, /SPAMASSASSIN_FAILED=0/, answer)
  }
  const { disposition } = await filtered(1, { onFailure: 'defer' })
  assert.equal(disposition.kind === 'reject' && disposition.reply.code, 451)
})

test('long mail goes on without SpamAssassin, at once, and says so', async (t) => {
  const spamd = await startSpamd(t, spam)
  const mail = Buffer.from(`From: jane@example.org\r\n\r\n${'a line\r\n'.repeat(70_000)}`)
  const { header } = await filtered(spamd.port, { onFailure: 'defer' }, mail)
  assert.match(header, /SPAMASSASSIN_UNABLE=0/)
  assert.equal(spamd.asked.length, 0)
})
