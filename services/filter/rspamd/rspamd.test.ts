import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { RspamdEngine } from '../../../shared/config/model.ts'
import type { Disposition } from '../../../shared/mail/disposition.ts'
import { openFilter } from '../index.ts'
import { headerBehind, stageMessage, testContext, testEnvelope, zoneResolver } from '../testing.ts'

interface FakeRspamd {
  readonly url: string
  readonly asked: { readonly headers: NodeJS.Dict<string[]>; readonly body: string; readonly path: string }[]
  connections(): number
  /** Closes every connection as a server does that was restarted. */
  drop(): Promise<void>
}

interface Reply {
  readonly status?: number
  readonly body: unknown
}

async function startRspamd(t: TestContext, reply: () => Reply): Promise<FakeRspamd> {
  const asked: FakeRspamd['asked'] = []
  const open = new Set<Socket>()
  let connections = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked.push({
        headers: request.headersDistinct,
        body: Buffer.concat(chunks).toString(),
        path: request.url ?? '',
      })
      const { status = 200, body } = reply()
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  server.keepAliveTimeout = 0
  server.on('connection', (socket: Socket) => {
    connections += 1
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    connections: () => connections,
    async drop() {
      const closed = [...open].map((socket) => new Promise((resolve) => void socket.once('close', resolve)))
      for (const socket of open) socket.resetAndDestroy()
      await Promise.all(closed)
    },
  }
}

const mail = Buffer.from('From: jane@example.org\r\nSubject: Hello\r\n\r\nHello\r\n')

interface Opened {
  scan(): Promise<{ readonly disposition: Disposition; readonly header: string }>
  readonly events: readonly object[]
}

async function openWith(t: TestContext, url: string, changes: Partial<RspamdEngine> = {}): Promise<Opened> {
  const engine: RspamdEngine = {
    kind: 'rspamd',
    url,
    weight: 1,
    timeoutMs: 60_000,
    onFailure: 'proceed',
    actions: 'obey',
    ...changes,
  }
  const { context, events } = testContext(zoneResolver({}), { spam: { junk: 5, engines: [engine] } })
  const stage = await openFilter(context)
  t.after(() => stage.close())
  return {
    events,
    async scan() {
      const disposition = await stage.handle(stageMessage(mail, testEnvelope()), context)
      return { disposition, header: disposition.kind === 'pass' ? headerBehind(mail, disposition) : '' }
    },
  }
}

const verdict = {
  is_skipped: false,
  score: 4.25,
  required_score: 15,
  action: 'no action',
  symbols: {
    MISSING_DATE: { name: 'MISSING_DATE', score: 1.0, description: 'Message date is missing' },
    URL_BAD: { name: 'URL_BAD', score: 3.25, options: ['bad.example', 'worse.example'] },
    ARC_NA: { name: 'ARC_NA', score: 0, description: 'ARC signature absent' },
  },
}

test('Rspamd is told of the session and its score and symbols stand in the header', async (t) => {
  const rspamd = await startRspamd(t, () => ({ body: verdict }))
  const { scan, events } = await openWith(t, rspamd.url)
  const { header } = await scan()
  assert.match(header, /^X-Spam-Status: No, score=4\.25 required=5 tests=MISSING_DATE=1,\s+URL_BAD=3\.25\r$/m)
  assert.match(JSON.stringify(events), /URL_BAD 3\.25 bad\.example; worse\.example/)
  const [asked] = rspamd.asked
  assert.equal(asked?.path, '/checkv2')
  assert.equal(asked.body, mail.toString())
  const { ip, helo, from, rcpt } = asked.headers
  assert.deepEqual(
    [ip, helo, from, rcpt],
    [['192.0.2.7'], ['mail.example.org'], ['<jane@example.org>'], ['<x@y.example>']],
  )
})

test('one connection serves many messages; one that was closed meanwhile costs no message', async (t) => {
  const rspamd = await startRspamd(t, () => ({ body: verdict }))
  const { scan } = await openWith(t, rspamd.url, { onFailure: 'defer' })
  for (let n = 0; n < 3; n += 1) assert.equal((await scan()).disposition.kind, 'pass')
  assert.equal(rspamd.connections(), 1)
  await rspamd.drop()
  assert.equal((await scan()).disposition.kind, 'pass')
  assert.equal(rspamd.connections(), 2)
})

test('what Rspamd demands happens, unless only its score is asked for', async (t) => {
  let action = 'add header'
  const rspamd = await startRspamd(t, () => ({ body: { ...verdict, action } }))
  const obeying = await openWith(t, rspamd.url)
  const junk = (await obeying.scan()).header
  assert.match(junk, /^X-Spam-Flag: YES\r$/m)
  assert.match(junk, /^X-Spam-Report: Rspamd: add header, score 4\.25 of 15\r$/m)
  const ignoring = await openWith(t, rspamd.url, { actions: 'ignore' })
  assert.doesNotMatch((await ignoring.scan()).header, /X-Spam-Flag/)
  for (const [said, kind] of [
    ['greylist', 'pass'],
    ['quarantine', 'hold'],
    ['discard', 'discard'],
    ['reject', 'pass'],
  ] as const) {
    action = said
    assert.equal((await obeying.scan()).disposition.kind, kind, said)
  }
  action = 'reject'
  assert.match((await obeying.scan()).header, /^X-Spam-Flag: YES/m, 'a stranger gets no bounce')
})

test('a decision that Rspamd makes before it looks further holds too', async (t) => {
  const body = {
    is_skipped: true,
    score: 15,
    required_score: 15,
    action: 'reject',
    symbols: {},
    messages: { smtp_message: 'Gtube pattern' },
  }
  const rspamd = await startRspamd(t, () => ({ body }))
  const { header } = await (await openWith(t, rspamd.url)).scan()
  assert.match(header, /^X-Spam-Report: Rspamd: reject \(Gtube pattern\), score 15 of 15\r$/m)
})

test('its score counts as often as its weight says', async (t) => {
  const rspamd = await startRspamd(t, () => ({ body: verdict }))
  const { scan } = await openWith(t, rspamd.url, { weight: 2 })
  assert.match((await scan()).header, /^X-Spam-Status: Yes, score=8\.5 .*MISSING_DATE=2/m)
})

test('an Rspamd that is away or talks nonsense makes mail wait or is left out, and is told of', async (t) => {
  for (const [reply, symbol] of [
    [{ status: 500, body: 'oops' }, 'RSPAMD_FAILED=0'],
    [{ body: 'no json' }, 'RSPAMD_FAILED=0'],
    [{ body: { score: 'much', action: 'reject' } }, 'RSPAMD_FAILED=0'],
    [{ body: { ...verdict, action: 'soft reject' } }, 'RSPAMD_FAILED=0'],
    [{ status: 413, body: '' }, 'RSPAMD_UNABLE=0'],
  ] as const) {
    const rspamd = await startRspamd(t, () => reply)
    assert.match((await (await openWith(t, rspamd.url)).scan()).header, new RegExp(symbol), JSON.stringify(reply))
  }
  const away = await openWith(t, 'http://127.0.0.1:1', { onFailure: 'defer' })
  const { disposition } = await away.scan()
  assert.equal(disposition.kind === 'reject' && disposition.reply.code, 451)
})
