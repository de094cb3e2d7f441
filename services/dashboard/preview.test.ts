import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { makeToken } from '../../shared/config/api-tokens.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import { previewOf } from './preview.ts'
import type { Preview } from './preview.ts'
import { sampleAt, sampleId, sampleJob, sampleMessage, sampleSource } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}` }

function stored(content: string | Buffer) {
  const octets = Buffer.from(content)
  const locator = { segment: 's', offset: 0, length: 0, headerBytes: 0, sizeBytes: octets.length }
  const envelope: Envelope = {
    id: sampleId,
    reversePath: null,
    recipients: [],
    tags: [],
    origin: { kind: 'smtp', address: '192.0.2.1' },
    receivedAt: sampleAt,
  }
  return { envelope, locator, stream: () => Readable.from([octets]) } as unknown as Parameters<typeof previewOf>[0]
}

test('a preview has the fields a reader looks at, the texts of all parts, and the names of files only', async () => {
  const preview = await previewOf(
    stored(
      [
        'Received: from somewhere',
        'From: =?utf-8?Q?J=C3=B6rg?= <joe@example.org>',
        'Subject: Hello',
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Gr=C3=BC=C3=9Fe',
        'two lines',
        '--b',
        'Content-Type: text/html',
        '',
        '<p>Hello <b>there</b><script>alert(1)</script><img src="http://evil.example/x.png">',
        '--b',
        'Content-Type: application/pdf; name="bill.pdf"',
        'Content-Transfer-Encoding: base64',
        '',
        'AAAA',
        '--b--',
        '',
      ].join('\r\n'),
    ),
  )
  assert.deepEqual(preview.fields, [
    { name: 'From', value: 'Jörg <joe@example.org>' },
    { name: 'Subject', value: 'Hello' },
  ])
  assert.deepEqual(preview.texts[0], 'Grüße\ntwo lines')
  assert.match(preview.texts[1] ?? '', /^Hello there/)
  assert.doesNotMatch(preview.texts.join(), /<|alert|evil/)
  assert.deepEqual([preview.files, preview.cut], [['application/pdf (pdf)'], false])
})

test('of a huge message only the beginning is read, and the reader is told', async () => {
  let read = 0
  const chunk = Buffer.from(`Subject: x\r\n\r\n${'long text '.repeat(6_553)}`)
  async function* chunks() {
    for (;;) {
      read += 1
      yield chunk
    }
  }
  const { cut, texts } = await previewOf({ ...stored(chunk), stream: () => Readable.from(chunks()) })
  assert.equal(cut, true)
  assert.equal(texts[0]?.length, 20_000)
  assert.ok(read < 100, `${read} chunks`)
  assert.deepEqual((await previewOf(stored(''))).texts, [])
})

const hostile = `<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u0000`
const preview: Preview = {
  from: hostile,
  fields: [{ name: 'Subject', value: hostile }],
  texts: [`${hostile}\n  indented`],
  files: [hostile],
  parts: [{ type: hostile, extension: hostile }],
  cut: true,
}

test('what a message says stays text, is shown to operators only, and it is kept who looked', async (t) => {
  const message = sampleMessage()
  const { app, audit } = await openTestApp(t, { source: sampleSource({ message, preview }), operators })
  const url = `/messages/${sampleId}/preview`
  const olga = new TestBrowser(app)
  await olga.signIn('olga', 'engine')
  const { body, statusCode } = await olga.get(url)
  assert.equal(statusCode, 200)
  assert.match(body, /&lt;script&gt;[^]*\n {2}indented/)
  assert.doesNotMatch(body, /<script>|<img|[\u0000\u202e]|http-equiv="refresh"|live\.js/)
  const [last] = await audit.last(1)
  assert.deepEqual([last?.by, last?.action, last?.about], ['olga', 'preview message', sampleId])
  assert.equal((await olga.get('/messages/0mi8v2c4bm99999999/preview')).statusCode, 404)
  const rita = new TestBrowser(app)
  await rita.signIn('rita', 'glass')
  assert.equal((await rita.get(url)).statusCode, 403)
  assert.equal((await new TestBrowser(app).get(url)).statusCode, 303)
})

test('the source is text that can do nothing, saved only as a file, for operators alone, and it is kept who looked', async (t) => {
  const octets = Buffer.concat([
    Buffer.from(`Subject: ${hostile}\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>`),
    Buffer.from([0xe4]),
  ])
  const message = sampleMessage()
  const content = stored(octets) as SpooledMessage
  const { token, entry } = makeToken('ci', ['content'])
  const { entry: reader, token: reading } = makeToken('rd', ['read', 'messages'])
  const opened = await openTestApp(t, {
    source: sampleSource({ message, content }),
    operators,
    apiTokens: { ci: entry, rd: reader },
  })
  const { app, audit } = opened
  const url = `/messages/${sampleId}/source`
  const olga = new TestBrowser(app)
  await olga.signIn('olga', 'engine')
  const { body } = await olga.get(url)
  assert.match(body, /&lt;script&gt;alert\(1\)&lt;\/script&gt;\\xe4[^]*/)
  assert.match(body, /text\/html/)
  assert.doesNotMatch(body, /<script>|<img|[\u0000\u202e]|live\.js/)
  const file = await olga.get(`${url}.eml`)
  assert.deepEqual(file.rawPayload, octets)
  assert.deepEqual(
    ['content-type', 'content-disposition', 'x-content-type-options'].map((name) => file.headers[name]),
    ['message/rfc822', `attachment; filename="${sampleId}.eml"`, 'nosniff'],
  )
  assert.equal((await olga.get('/messages/0mi8v2c4bm99999999/source')).statusCode, 404)
  const rita = new TestBrowser(app)
  await rita.signIn('rita', 'glass')
  for (const path of [url, `${url}.eml`]) assert.equal((await rita.get(path)).statusCode, 403, path)
  assert.equal((await new TestBrowser(app).get(url)).statusCode, 303)
  const ask = (sent: string) =>
    app.inject({ url: `/api/v1${url}`, headers: { host: 'localhost', authorization: `Bearer ${sent}` } })
  const told = await ask(token)
  assert.deepEqual([told.statusCode, told.headers['content-type'], told.rawPayload], [200, 'message/rfc822', octets])
  assert.equal((await ask(reading)).statusCode, 403)
  assert.deepEqual(
    (await audit.last(6)).map(({ by, action, outcome }) => `${by} ${action} ${outcome}`),
    [
      'token rd read source refused',
      'token ci read source done',
      'rita download message refused',
      'rita read source refused',
      'rita sign in done',
      'olga download message done',
    ],
  )
})

test('where nobody signs in nobody reads what messages say', async (t) => {
  const { app } = await openTestApp(t, { source: sampleSource({ message: sampleMessage(), preview }) })
  const reply = await new TestBrowser(app).get(`/messages/${sampleId}/preview`)
  assert.equal(reply.statusCode, 403)
  assert.doesNotMatch(reply.body, /indented/)
})

test('all that is held is on one page, with why and since when', async (t) => {
  const held = sampleJob({
    state: 'held',
    quarantine: 'virus',
    reason: `virus: ${hostile}`,
    heldAt: sampleAt - 3_600_000,
    from: null,
  })
  const byHand = sampleJob({ state: 'held', reason: 'held by ada (dashboard)' })
  const { app } = await openTestApp(t, { source: sampleSource({ jobs: [held, byHand, sampleJob()] }), operators })
  for (const [name, password, previews] of [
    ['olga', 'engine', 2],
    ['rita', 'glass', 0],
  ] as const) {
    const browser = new TestBrowser(app)
    await browser.signIn(name, password)
    const { body } = await browser.get('/held')
    assert.match(body, /2 messages[^]*1 h[^]*virus: &lt;script[^]*held by ada/)
    assert.doesNotMatch(body, /<script>|Greylisted/)
    assert.equal(body.split(`/messages/${sampleId}/preview`).length - 1, previews)
  }
  const away = { kind: 'away', reason: 'Redis did not answer' } as const
  const source = { ...sampleSource({}), held: async () => ({ at: sampleAt, jobs: away }) }
  const other = await openTestApp(t, { source })
  assert.match((await new TestBrowser(other.app).get('/held')).body, /Redis is away/)
})
