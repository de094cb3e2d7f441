import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

import { workerFile } from '../../../shared/workers/start-worker.ts'
import { createWorkerPool } from '../../../shared/workers/worker-pool.ts'
import type { EngineResult } from '../engine.ts'
import { gtube } from '../gtube.ts'
import { openFilter } from '../index.ts'
import { headerBehind, stageMessage, testContext, testEnvelope, zoneResolver } from '../testing.ts'
import type { Tried } from './testing-fenced.ts'
import { scanAll } from './testing-scan.ts'

const letter = 'From: Jane <jane@example.org>\r\nMessage-Id: <1@example.org>\r\nDate: now\r\nSubject: Minutes\r\n'
const plain = `${letter}\r\nHello\r\n`
const advertisement = [
  'From: <bank4444@win.tk>',
  'Reply-To: <other@example.com>',
  'Subject: YOU WON THE LOTTERY, ACT NOW!!!',
  '',
  'Dear friend, claim your prize of a million dollars by wire transfer: http://192.0.2.1/',
  '',
].join('\r\n')

/** With one attachment. */
function mailWith(name: string, content: string): string {
  return [
    `${letter}MIME-Version: 1.0`,
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    '',
    'See the attachment.',
    '--b',
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(content, 'latin1').toString('base64'),
    '--b--',
    '',
  ].join('\r\n')
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'spamscanner-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function namesOf({ symbols }: EngineResult): readonly string[] {
  return symbols.map(({ name }) => name)
}

test('words, senders and links are worth points, but never so many that it decides alone', async () => {
  const [ham, spam] = await scanAll([plain, advertisement].map((text) => Buffer.from(text)))
  assert.ok(ham?.status === 'ok' && ham.score <= 0.3, JSON.stringify(ham))
  assert.ok(spam?.status === 'ok' && spam.score === 3, JSON.stringify(spam))
  assert.match(spam.symbols[0]?.text ?? '', /SUBJECT_SPAM_PATTERN/)
})

test('pipeline.conf names it, and says how much it counts; where it is not named it is not asked', async () => {
  const content = Buffer.from(advertisement)
  const engines = [
    { kind: 'builtin', weight: 1, classifier: false },
    { kind: 'spamscanner', weight: 0.5 },
  ] as const
  for (const named of [true, false]) {
    const settings = { spam: { junk: 1, engines: engines.slice(0, named ? 2 : 1) } }
    const { context } = testContext(zoneResolver({}), settings)
    const stage = await openFilter(context, 1)
    const header = headerBehind(content, await stage.handle(stageMessage(content, testEnvelope()), context))
    await stage.close()
    assert.equal(/^X-Spam-Status: Yes, score=1.5 required=1 tests=SPAMSCANNER=1.5\r\n/m.test(header), named, header)
  }
})

test('programs and macros are found in attachments; code and archives, which honest people send, are not', async () => {
  const mails = [
    mailWith('invoice.exe', 'x'),
    mailWith('invoice.txt', `MZ${'\0'.repeat(200)}`),
    mailWith('invoice.docm', 'x'),
    mailWith('invoice.pdf', '%PDF-1.4 /JavaScript'),
    mailWith('invoice.zip', 'x'),
    `${letter}\r\nfunction start () { eval(document.write) }\r\npowershell start-process\r\n`,
  ]
  const results = await scanAll(mails.map((text) => Buffer.from(text)))
  const files = results.map(({ symbols }) => symbols.find(({ name }) => name === 'SPAMSCANNER_FILE')?.text)
  assert.deepEqual(files, [
    'executable: invoice.exe',
    'executable: invoice.txt',
    'macro: invoice.docm',
    'pdf script: invoice.pdf',
    undefined,
    undefined,
  ])
})

test('the test text is found in base64 too', async () => {
  const body = Buffer.from(gtube).toString('base64')
  const [result] = await scanAll([Buffer.from(`${letter}Content-Transfer-Encoding: base64\r\n\r\n${body}\r\n`)])
  assert.ok(result !== undefined && result.score > 900 && namesOf(result).includes('SPAMSCANNER_GTUBE'))
})

test('mail in any charset is read with what was loaded before the fence was closed', async () => {
  const charsets =
    'Shift_JIS EUC-JP ISO-2022-JP GB2312 GBK GB18030 EUC-KR ks_c_5601-1987 Big5 Big5-HKSCS KOI8-R windows-1255 UTF-7'
  const results = await scanAll(
    charsets
      .split(' ')
      .map((charset) =>
        Buffer.from(
          `From: =?${charset}?b?xeTF5A==?= <a@example.org>\r\nContent-Type: text/html; charset=${charset}\r\n\r\n<p>\u00c5\u00e4`,
          'latin1',
        ),
      ),
  )
  for (const { status, reason } of results) assert.equal(status, 'ok', reason)
})

test('markup that is too long for its parser is named, not a failure', async () => {
  const [result] = await scanAll([
    Buffer.from(`${letter}Content-Type: text/html\r\n\r\n${'<p>word</p>'.repeat(20_000)}`),
  ])
  assert.deepEqual([result?.status, result?.reason], ['unable', 'more text than it is fit for'])
})

const hard: readonly (readonly [string, string])[] = [
  ['nothing at all', ''],
  ['100,000 blanks', `${letter}\r\n${' '.repeat(99_000)}`],
  ['150,000 words', `${letter}\r\n${'word '.repeat(150_000)}`],
  ['2,000 links', `${letter}\r\n${'http://a.example/x '.repeat(2_000)}`],
  ['50,000 tags that do not end', `${letter}Content-Type: text/html\r\n\r\n${'<'.repeat(50_000)}`],
  ['a field of 900 KB', `X-Long: ${'a'.repeat(900_000)}\r\n${plain}`],
  ['20,000 fields', `${'X: y\r\n'.repeat(20_000)}${plain}`],
  ['octets that are no text', 'From: \u0000\u0001@\u0002\r\nSubject: \u0000\r\n\r\n\u0000'],
  ['an unknown charset and broken base64', `${letter}Content-Type: text/plain; charset=x-none\r\n\r\n=?x?b?%%?=`],
  ['more than 1 MB', plain + 'x\r\n'.repeat(400_000)],
]

test('whatever the message is, it has a result or a reason why not, and the next message has one', async () => {
  const results = await scanAll(
    hard.flatMap(([, content]) => [Buffer.from(content, 'latin1'), Buffer.from(advertisement)]),
  )
  for (const [place, { status, reason }] of results.entries()) {
    const what = hard[Math.floor(place / 2)]?.[0]
    const allowed = place % 2 === 0 ? ['ok', 'unable', 'crashed'] : ['ok']
    assert.ok(allowed.includes(status), `${what}: ${status} ${reason}`)
  }
  assert.equal(results.at(-2)?.reason, 'longer than 1 MB')
})

test('from behind the fence there is no way to files, sockets, names, processes or threads', async (t) => {
  const secret = join(folder(t), '.env')
  writeFileSync(secret, 'SECRET=1')
  const pool = createWorkerPool<string, Tried>({
    file: workerFile('./testing-fenced.ts', import.meta.url),
    threads: 1,
    wallMs: 60_000,
    environment: {},
  })
  t.after(() => pool.close())
  const { refused, done, attempts, environment } = await pool.run(secret)
  assert.deepEqual(done, [])
  assert.equal(refused.length, 27)
  assert.deepEqual(environment, [])
  assert.equal(attempts[0], 'fs.readFileSync')
  assert.equal(readFileSync(secret, 'utf8'), 'SECRET=1')
})

test('a scan that looks around gives no result, though its code keeps silent about it', async () => {
  const results = await scanAll(
    [Buffer.from(plain), Buffer.from(plain)],
    workerFile('./testing-curious.ts', import.meta.url),
  )
  for (const { status, reason } of results)
    assert.deepEqual([status, reason], ['failed', 'Error: it tried to reach out: fs.existsSync'])
})

test('a scan reads no .env and tries to reach nothing, whatever the message asks for', async (t) => {
  const place = folder(t)
  writeFileSync(join(place, '.env'), 'SPAMSCANNER_SECRET=1\nNODE_DEBUG=net')
  const script = `
    import { scanAll } from ${JSON.stringify(workerFile('./testing-scan.ts', import.meta.url))}
    const results = await scanAll(${JSON.stringify([plain, advertisement, mailWith('a.exe', 'MZ'), '.env'])}.map((text) => Buffer.from(text)))
    console.log(JSON.stringify({ status: results.map(({ status }) => status), secret: process.env.SPAMSCANNER_SECRET }))
  `
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script],
    { cwd: place },
  )
  // A scan whose code tries to get out throws.
  assert.deepEqual(JSON.parse(stdout), { status: ['ok', 'ok', 'ok', 'ok'] })
})
