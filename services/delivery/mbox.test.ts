import assert from 'node:assert/strict'
import { chown, link, mkdtemp, readFile, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import fc from 'fast-check'

import { MboxDelivery } from './deliver-mbox.ts'
import { fromLine, quotedFromLines } from './from-lines.ts'
import { MboxWriter } from './mbox.ts'
import { deliveryOf, localAction, stageMessage } from './testing.ts'
import type { TestMessage } from './testing.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-mbox-'))
  folders.push(folder)
  return folder
}

const action = localAction({ kind: 'mbox' })
const receivedAt = Date.UTC(2026, 10, 1, 6, 7, 8)
const never = new AbortController().signal

async function deliver(mailboxes: string, parts: TestMessage = {}) {
  return new MboxDelivery().deliver(deliveryOf(stageMessage({ receivedAt, ...parts }), action, { mailboxes }))
}

function message(...chunks: string[]) {
  return { reversePath: null, receivedAt, content: chunks.map((chunk) => Buffer.from(chunk)) }
}

test('messages stand one behind the other, each with its From line and an empty line, for the user alone', async () => {
  const base = await temporary()
  const [attempt] = await deliver(base, { to: ['Jane+lists@example.org'] })
  assert.deepEqual([attempt?.reply.code, attempt?.reached], [250, 'local'])
  await deliver(base, { from: null, content: 'Subject: Two\r\n\r\nFrom here\r\n>From there\r\nno end' })
  assert.equal(
    await readFile(join(base, 'jane'), 'utf8'),
    [
      'From joe@example.net Sun Nov 01 06:07:08 2026',
      'Return-Path: <joe@example.net>',
      'Delivered-To: Jane+lists@example.org',
      'Subject: Hello',
      '',
      'How are you?',
      '',
      'From MAILER-DAEMON Sun Nov 01 06:07:08 2026',
      'Delivered-To: jane@example.org',
      'Subject: Two',
      '',
      '>From here',
      '>>From there',
      'no end',
      '',
      '',
    ].join('\n'),
  )
  assert.equal((await stat(join(base, 'jane'))).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(base), ['jane'])
})

test('an address that an alias changed is told in X-Original-To', async () => {
  const base = await temporary()
  await deliver(base, { original: 'team@example.org' })
  assert.match(
    await readFile(join(base, 'jane'), 'utf8'),
    /\nDelivered-To: team@example\.org\nX-Original-To: team@example\.org\n/,
  )
})

test('a message that breaks off leaves the mailbox as it was', async () => {
  const base = await temporary()
  const path = join(base, 'jane')
  const writer = new MboxWriter()
  await writer.append(path, message('one\r\n'), never)
  const before = await readFile(path, 'utf8')
  async function* broken() {
    yield Buffer.from('half\r\n')
    throw new Error('the spool is gone')
  }
  await assert.rejects(writer.append(path, { ...message(), content: broken() }, never), /the spool is gone/)
  assert.equal(await readFile(path, 'utf8'), before)
  assert.deepEqual(await readdir(base), ['jane'])
})

test('behind a message that another program broke off, ours begins on a line of its own', async () => {
  for (const [there, between] of [
    ['From x\n\nhalf a li', '\n\n'],
    ['From x\n\nno empty line\n', '\n'],
    ['x', '\n\n'],
    ['From x\n\nwhole\n\n', ''],
  ] as const) {
    const path = join(await temporary(), 'jane')
    await writeFile(path, there)
    await new MboxWriter().append(path, message('a\r\n'), never)
    assert.equal(await readFile(path, 'utf8'), `${there}${between}${fromLine(null, receivedAt)}a\n\n`)
  }
})

test('many messages at once do not mix', async () => {
  const path = join(await temporary(), 'jane')
  const [one, other] = [new MboxWriter(), new MboxWriter()]
  const texts = Array.from({ length: 20 }, (_, index) => `${index}\r\n`.repeat(50))
  await Promise.all(texts.map((text, index) => (index % 2 === 0 ? one : other).append(path, message(text), never)))
  const found = (await readFile(path, 'utf8')).split(fromLine(null, receivedAt)).slice(1)
  assert.deepEqual(found.sort(), texts.map((text) => `${text.replaceAll('\r', '')}\n`).sort())
})

test('we wait for the lock of another program, and give up when it is time to', async () => {
  const base = await temporary()
  const path = join(base, 'jane')
  await writeFile(`${path}.lock`, '')
  const stop = new AbortController()
  const waiting = new MboxWriter().append(path, message('a\r\n'), stop.signal)
  stop.abort(new Error('over'))
  await assert.rejects(waiting)
  const patient = new MboxWriter().append(path, message('a\r\n'), never)
  await rm(`${path}.lock`)
  await patient
  assert.deepEqual(await readdir(base), ['jane'])
})

test('a lock is broken when its process is gone, or when it is too old for any delivery', async () => {
  const base = await temporary()
  const path = join(base, 'jane')
  await writeFile(`${path}.lock`, `${process.pid}:${hostname()}\n`)
  const beforeUs = Date.now() / 1000 - process.uptime() - 1
  await utimes(`${path}.lock`, beforeUs, beforeUs)
  await new MboxWriter().append(path, message('a\r\n'), never)
  await writeFile(`${path}.lock`, 'somebody')
  await utimes(`${path}.lock`, 1, 1)
  await new MboxWriter().append(path, message('b\r\n'), never)
  assert.deepEqual(await readdir(base), ['jane'])
})

/** A mailbox and the lock of a process that is gone, which began a message behind the first `start` octets. */
async function abandoned(there: string, note: string): Promise<string> {
  const path = join(await temporary(), 'jane')
  await writeFile(path, there)
  await writeFile(`${path}.lock`, `${process.pid}:${hostname()}\n${note}`)
  const beforeUs = Date.now() / 1000 - process.uptime() - 1
  await utimes(`${path}.lock`, beforeUs, beforeUs)
  return path
}

test('what a killed process left of a message is taken back before it is delivered again', async () => {
  const whole = 'From x\n\none\n\n'
  const again = `${fromLine(null, receivedAt)}two\n\n`
  for (const left of ['', 'Fr', 'From y\n\nhal', 'From y\n\ntwo\n>From z\n\n']) {
    const path = await abandoned(`${whole}${left}`, `${whole.length}\n`)
    await new MboxWriter().append(path, message('two\r\n'), never)
    assert.equal(await readFile(path, 'utf8'), `${whole}${again}`, left)
  }
  const long = await abandoned(`${whole}From y\n\n${'x'.repeat(200_000)}`, `${whole.length}\n`)
  await new MboxWriter().append(long, message('two\r\n'), never)
  assert.equal(await readFile(long, 'utf8'), `${whole}${again}`)
})

test('nothing is taken back that a killed process may not have written', async () => {
  const others = 'From x\n\none\n\nFrom y\n\ntwo\n\n'
  const again = `${fromLine(null, receivedAt)}a\n\n`
  for (const note of ['', '0\n', '5\n', '999\n', 'nonsense\n']) {
    const path = await abandoned(others, note)
    await writeFile(`${path}.lock`, `${process.pid}:${hostname()}\n${note}`)
    await utimes(`${path}.lock`, 1, 1)
    await new MboxWriter().append(path, message('a\r\n'), never)
    assert.equal(await readFile(path, 'utf8'), `${others}${again}`, note)
  }
  if (process.getuid?.() !== 0) return
  const path = await abandoned('From x\n\none\n\n', '0\n')
  await chown(`${path}.lock`, 12_345, 12_345)
  await new MboxWriter().append(path, message('a\r\n'), never)
  assert.equal(await readFile(path, 'utf8'), `From x\n\none\n\n${again}`, 'the lock of a stranger')
})

test('a link or a folder in the place of a mailbox is not written to', async () => {
  const base = await temporary()
  await writeFile(join(base, 'secret'), '')
  await symlink(join(base, 'secret'), join(base, 'jane'))
  await link(join(base, 'secret'), join(base, 'joe'))
  await writeFile(join(base, 'x'), '')
  const attempts = await deliver(base, { to: ['jane@example.org', 'joe@example.org'] })
  assert.deepEqual(
    attempts.map(({ reply }) => [reply.code, reply.enhanced]),
    [
      [451, '4.3.5'],
      [451, '4.3.5'],
    ],
  )
  assert.equal(await readFile(join(base, 'secret'), 'utf8'), '')
})

test('no address reaches another file than its mailbox', async () => {
  const base = await temporary()
  await deliver(base)
  const to = ['../evil@x.org', '"/etc/x"@x.org', '..@x.org', '.hidden@x.org', 'jane.lock@x.org', '"a/b"@x.org']
  const attempts = await deliver(base, { to })
  assert.deepEqual([...new Set(attempts.map(({ reply }) => reply.code))], [550])
  assert.deepEqual(await readdir(base), ['jane'])
})

test('without a folder of mailboxes mail waits', async () => {
  const [attempt] = await new MboxDelivery().deliver(deliveryOf(stageMessage(), action))
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [451, '4.3.5'])
})

test('every reader gets back what was sent, however the content was cut', async () => {
  const pieces = fc.array(fc.constantFrom('From ', '>', '\n', 'Fro', 'm ', 'x', '>>From x\n', 'ü'), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(pieces, async (parts) => {
      async function* chunks() {
        for (const part of parts) yield Buffer.from(part)
      }
      const out: Buffer[] = []
      for await (const chunk of quotedFromLines(chunks())) out.push(chunk)
      const text = Buffer.concat(out).toString()
      assert.doesNotMatch(text, /^From /m)
      const sent = parts.join('')
      const ended = sent === '' || sent.endsWith('\n') ? sent : `${sent}\n`
      assert.equal(text.replaceAll(/^>(>*From )/gm, '$1'), `${ended}\n`)
    }),
  )
})
