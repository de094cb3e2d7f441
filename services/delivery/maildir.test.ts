import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import fc from 'fast-check'

import { isPositive } from '../../shared/mail/reply.ts'
import { MaildirDelivery } from './deliver-maildir.ts'
import { withLineFeeds } from './line-feeds.ts'
import { MaildirWriter } from './maildir.ts'
import { deliveryOf, localAction, stageContext, stageMessage } from './testing.ts'
import type { TestMessage } from './testing.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-maildir-'))
  folders.push(folder)
  return folder
}

async function deliver(base: string, parts: TestMessage = {}, path = '%{dest.user:strip}', junk = false) {
  const method = { kind: 'maildir', path: `${base}/${path}`, junk } as const
  const action = localAction(method)
  return new MaildirDelivery().deliver(deliveryOf(stageMessage(parts), action), method)
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('a message lands in new, with trace fields, line feeds and nothing left in tmp', async () => {
  const base = await temporary()
  const [attempt] = await deliver(base, { edits: [{ kind: 'prepend', fields: 'Received: by us\r\n' }] })
  assert.equal(attempt?.reply.code, 250)
  assert.equal(attempt.reached, 'local')
  assert.deepEqual((await readdir(join(base, 'jane'))).sort(), ['cur', 'new', 'tmp'])
  const [file = '', ...more] = await filesBelow(base)
  assert.equal(more.length, 0)
  assert.match(file, /\/jane\/new\/\d+\.0mf4example000000R0\.mail\.example\.org$/)
  assert.equal(
    await readFile(file, 'utf8'),
    'Return-Path: <joe@example.net>\nDelivered-To: jane@example.org\nReceived: by us\nSubject: Hello\n\nHow are you?\n',
  )
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await stat(join(base, 'jane', 'cur'))).mode & 0o777, 0o700)
})

test('delivering again leaves one copy', async () => {
  const base = await temporary()
  const message = { receivedAt: Date.now() }
  await deliver(base, message)
  const [again] = await deliver(base, message)
  assert.equal(again?.reply.code, 250)
  assert.equal((await filesBelow(base)).length, 1)
})

test('delivering again leaves one copy also when a mail program has moved the first one', async () => {
  for (const suffix of [':2,S', ',S=123,W=130:2,RS', '']) {
    const base = await temporary()
    const message = { receivedAt: Date.now() - 3_600_000 }
    await deliver(base, message)
    const [name = ''] = await readdir(join(base, 'jane', 'new'))
    await rename(join(base, 'jane', 'new', name), join(base, 'jane', 'cur', `${name}${suffix}`))
    const [again] = await deliver(base, message)
    assert.equal(again?.reply.code, 250)
    assert.equal((await filesBelow(base)).length, 1, suffix)
  }
})

test('a message whose name only begins the same is another message', async () => {
  const base = await temporary()
  const writer = new MaildirWriter()
  const content = [Buffer.from('x\r\n')]
  await writer.deliver(base, { name: '1.abcR1.host', content, acceptedAt: Date.now() })
  await rename(join(base, 'new', '1.abcR1.host'), join(base, 'cur', '1.abcR1.hosting:2,'))
  assert.equal(await writer.deliver(base, { name: '1.abcR1.host', content, acceptedAt: Date.now() }), 'stored')
})

test('cur is not read when nothing came into it since the message was accepted', async () => {
  const base = await temporary()
  const writer = new MaildirWriter()
  const message = { name: 'one', content: [Buffer.from('x\r\n')], acceptedAt: Date.now() }
  await writer.deliver(base, message)
  await rename(join(base, 'new', 'one'), join(base, 'cur', 'one:2,'))
  const old = new Date(Date.now() - 60_000)
  await utimes(join(base, 'cur'), old, old)
  assert.equal(await writer.deliver(base, message), 'stored')
})

test('a copy for each recipient, and equal local parts do not mix', async () => {
  const base = await temporary()
  const attempts = await deliver(
    base,
    { to: ['jane@a.example', 'joe@a.example', 'jane@b.example'] },
    '%{dest.domain}/%{dest.user}',
  )
  assert.ok(attempts.every((attempt) => isPositive(attempt.reply)))
  const places = (await filesBelow(base)).map((file) => file.slice(base.length).replace(/\/new\/.*/, ''))
  assert.deepEqual(places.sort(), ['/a.example/jane', '/a.example/joe', '/b.example/jane'])
})

test('many deliveries at one moment all arrive', async () => {
  const base = await temporary()
  const writer = new MaildirWriter()
  const names = Array.from({ length: 50 }, (_, count) => `n${count}`)
  await Promise.all(
    names.map((name) => writer.deliver(base, { name, content: [Buffer.from('x\r\n')], acceptedAt: Date.now() })),
  )
  assert.deepEqual((await readdir(join(base, 'new'))).sort(), names.sort())
})

test('a streamed message is written whole, wherever its chunks end', async () => {
  const base = await temporary()
  async function* chunks(): AsyncGenerator<Buffer> {
    for (const chunk of ['one\r', '\ntwo\r\n', '\r', '\n', 'three', '\r\n']) yield Buffer.from(chunk)
  }
  await new MaildirWriter().deliver(base, { name: 'a', content: chunks(), acceptedAt: 0 })
  assert.equal(await readFile(join(base, 'new', 'a'), 'utf8'), 'one\ntwo\n\nthree\n')
})

test('content that cannot be read leaves nothing behind', async () => {
  const base = await temporary()
  async function* chunks(): AsyncGenerator<Buffer> {
    yield Buffer.from('half')
    throw new Error('gone')
  }
  await assert.rejects(new MaildirWriter().deliver(base, { name: 'a', content: chunks(), acceptedAt: 0 }), /gone/)
  assert.deepEqual(await filesBelow(base), [])
})

test('a sub-address goes to its folder when there is one', async () => {
  const base = await temporary()
  await mkdir(join(base, 'jane', '.lists'), { recursive: true })
  await deliver(base, { to: ['Jane+lists@example.org', 'jane+other@example.org'] }, '%{user.username}')
  assert.equal((await readdir(join(base, 'jane', '.lists', 'new'))).length, 1)
  assert.equal((await readdir(join(base, 'jane', 'new'))).length, 1)
})

test('mail marked as spam goes to Junk, when the action says so', async () => {
  for (const field of ['X-Spam: Yes', 'x-spam-flag: YES']) {
    const base = await temporary()
    const edits = [{ kind: 'prepend', fields: `${field}\r\n` } as const]
    await deliver(base, { edits }, 'jane', true)
    assert.equal((await readdir(join(base, 'jane', '.Junk', 'new'))).length, 1, field)
  }
  const base = await temporary()
  const edits = [{ kind: 'prepend', fields: 'X-Spam: Yes\r\n' } as const]
  await deliver(base, { edits }, 'jane', false)
  await deliver(base, { edits: [{ kind: 'prepend', fields: 'X-Spam: No\r\n' }], receivedAt: 1000 }, 'jane', true)
  assert.equal((await readdir(join(base, 'jane', 'new'))).length, 2)
})

test('no address reaches outside of its mailbox', async () => {
  const base = await temporary()
  await mkdir(join(base, 'spool', 'jane'), { recursive: true })
  const evil = [
    '../evil@x.org',
    '"../../etc"@x.org',
    '..@x.org',
    '"..+../../x"@x.org',
    '"jane+/../../x"@x.org',
    'jane+.@x.org',
    '"a\0b"@x.org',
  ]
  await deliver(join(base, 'spool'), { to: evil }, '%{user.username}')
  await deliver(join(base, 'spool'), { to: evil }, '%{dest.user}')
  const outside = (await filesBelow(base)).filter((file) => !file.startsWith(join(base, 'spool', '')))
  assert.deepEqual(outside, [])
  for (const file of await filesBelow(base)) assert.match(file.slice(base.length), /^\/spool\/[^/]+\/new\/[^/]+$/)
})

test('a message that was delivered to the address before is a loop', async () => {
  const base = await temporary()
  const content = 'Delivered-To: JANE@example.org\r\nSubject: x\r\n\r\n'
  const [attempt, other] = await deliver(base, { content, to: ['jane@example.org', 'joe@example.org'] })
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [554, '5.4.6'])
  assert.equal(other?.reply.code, 250)
})

test('a folder we may not write to means later, in words for the postmaster', async () => {
  const base = await temporary()
  await chmod(base, 0o500)
  const [attempt] = await asOrdinaryUser(() => deliver(base))
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [451, '4.3.5'])
  assert.match(attempt?.reply.text ?? '', /wrong owner or mode/)
})

test('a path that is no folder means later', async () => {
  const base = await temporary()
  await writeFile(join(base, 'jane'), 'a file')
  const [attempt] = await deliver(base)
  assert.equal(attempt?.reply.code, 451)
})

test('a home folder is taken from the userbase, and a user it does not know is refused', async () => {
  const base = await temporary()
  const method = { kind: 'maildir', path: '~/Maildir', junk: false } as const
  const userbase = { name: 'users', source: { kind: 'inline' }, at: { file: 'f', line: 1, column: 1 } } as const
  const action = localAction(method, { userbase })
  const context = stageContext([action])
  const tables = {
    ...context.tables,
    userInfo: (_table: unknown, user: string) => (user === 'jane' ? { uid: 0, gid: 0, home: base } : undefined),
  }
  const message = stageMessage({ to: ['jane@example.org', 'nobody@example.org'] })
  const attempts = await new MaildirDelivery().deliver(
    { ...deliveryOf(message, action), context: { ...context, tables } },
    method,
  )
  assert.deepEqual(
    attempts.map((attempt) => attempt.reply.code),
    [250, 550],
  )
  assert.equal((await readdir(join(base, 'Maildir', 'new'))).length, 1)
})

test('without a userbase a path below the home folder is a fault of the configuration, not of the mail', async () => {
  const method = { kind: 'maildir', path: '~/Maildir', junk: false } as const
  const action = localAction(method)
  const [attempt] = await new MaildirDelivery().deliver(deliveryOf(stageMessage(), action), method)
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [451, '4.3.5'])
})

test('only line ends change in a message at rest', () => {
  const pieces = fc.array(fc.constantFrom('\r\n', 'a', 'ü', '\n', '\r', '\0', ''), { maxLength: 30 })
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join('')
      assert.equal(withLineFeeds(Buffer.from(text)).toString(), text.replaceAll('\r\n', '\n'))
    }),
  )
})

/** Root may write everywhere: it is `nobody` meanwhile. */
async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work()
  process.seteuid?.(65_534)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
  }
}
