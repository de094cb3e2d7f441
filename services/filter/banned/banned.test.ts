import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { BannedSettings } from '../../../shared/config/model.ts'
import type { Disposition } from '../../../shared/mail/disposition.ts'
import type { Origin } from '../../../shared/mail/envelope.ts'
import { tag } from '../../../shared/mail/tag.ts'
import { openFilter } from '../index.ts'
import {
  bannedSettings,
  listTable,
  stageMessage,
  stranger,
  testContext,
  testEnvelope,
  zoneResolver,
} from '../testing.ts'
import { compileBanned, defaultBanned } from './banned-files.ts'
import { MimeWalk } from './mime-walk.ts'
import type { FoundFile } from './found-file.ts'
import type { WalkEvent } from './mime-walk.ts'

function walk(text: string | Buffer, pieceBytes = 1_000_000): readonly FoundFile[] {
  const octets = Buffer.from(text as string)
  const walker = new MimeWalk()
  const events: WalkEvent[] = []
  for (let at = 0; at < octets.length; at += pieceBytes)
    events.push(...walker.write(octets.subarray(at, at + pieceBytes)))
  return [...events, ...walker.end()].filter((event) => 'text' in event)
}

function names(text: string): readonly string[] {
  return walk(text)
    .filter(({ kind }) => kind === 'name')
    .map((file) => file.text)
}

const isBanned = compileBanned(defaultBanned)

function multipart(...parts: readonly string[]): string {
  return [
    'From: jane@example.org',
    'Content-Type: multipart/mixed; boundary="b 1"',
    '',
    ...parts.flatMap((part) => ['--b 1', part]),
    '--b 1--',
    '',
  ].join('\r\n')
}

function base64(name: string, octets: Buffer): string {
  const lines = octets.toString('base64').match(/.{1,76}/g) ?? []
  return [
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    ...lines,
  ].join('\r\n')
}

test('a name is read in every way a mail program reads it', () => {
  for (const field of [
    'Content-Disposition: attachment; filename=bad.exe',
    'Content-Disposition: attachment; filename="bad.exe"',
    'Content-Disposition: attachment;\r\n\tfilename="bad.exe"; size=3',
    'content-disposition : attachment ; FILENAME = "bad.exe',
    'Content-Disposition: attachment filename=bad.exe',
    'Content-Type: application/octet-stream; name="=?utf-8?B?YmFkLmV4ZQ==?="',
    'Content-Type: application/octet-stream; name="=?utf-8?Q?bad=2Ee?= =?utf-8?q?xe?="',
    "Content-Disposition: attachment; filename*=UTF-8''bad%2eexe",
    "Content-Disposition: attachment; filename*1*=%78e; filename*0*=utf-8''bad.e",
    'Content-Disposition: attachment; filename*0="bad."; filename*1=exe',
    'Content-Disposition: attachment; filename="ba\\d.exe"',
    'X: y\r\nContent-Type: text/plain\r\nContent-Type: text/plain; name=bad.exe',
  ])
    assert.deepEqual(names(multipart(`${field}\r\n\r\nx`)), ['bad.exe'], field)
})

test('names are found in nested parts, attached messages and uuencoded text', () => {
  const inner =
    'Content-Type: multipart/related; boundary=in\r\n\r\n--in\r\nContent-Type: x/y; name=a.exe\r\n\r\n\r\n--in--'
  const attached = 'Content-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: x/y; name=b.exe\r\n\r\nbody'
  const after = 'Content-Disposition: inline; filename=c.exe\r\n\r\nbody'
  const text = 'Content-Type: text/plain\r\n\r\nhello\r\nbegin 644 d e.exe\r\n#0V%T\r\n`\r\nend'
  assert.deepEqual(names(multipart(inner, attached, after, text)), ['a.exe', 'b.exe', 'c.exe', 'd e.exe'])
})

test('a program behind lines that decode to nothing is found', () => {
  const hidden = `${'!!!!\r\n'.repeat(200)}${Buffer.from('MZ\x90\x00abc').toString('base64')}`
  assert.ok(walk(multipart(`Content-Transfer-Encoding: base64\r\n\r\n${hidden}`)).some(isBanned))
})

test('what a file is shows in its first octets, whatever it is called', () => {
  const program = Buffer.concat([Buffer.from('MZ\x90\x00'), Buffer.alloc(2_000)])
  const types = walk(multipart(base64('picture.png', program)))
  assert.ok(types.some((file) => file.kind === 'type' && file.text === 'application/x-dosexec' && isBanned(file)))
  const quoted = 'Content-Transfer-Encoding: quoted-printable\r\n\r\n=4D=\r\n=5A=90=00'
  assert.ok(walk(multipart(quoted)).some(isBanned))
})

test('a list of names and types bans what fits, in either case, and nothing else', () => {
  const own = compileBanned(['*.EXE', 'invoice*.doc?', 'readme', 'text/x-script'])
  const name = (text: string): FoundFile => ({ kind: 'name', text })
  for (const text of [
    'a.exe',
    'A.b.Exe',
    'x.exe.',
    'x.exe  ',
    'C:\\x\\y.exe',
    'e\u202ex.exe',
    'Invoice 7.docx',
    'README',
  ])
    assert.ok(own(name(text)), text)
  for (const text of ['exe', 'a.exe.txt', 'invoice.doc', 'readme.txt', '']) assert.ok(!own(name(text)), text)
  assert.ok(own({ kind: 'type', text: 'Text/X-Script' }))
  assert.ok(!isBanned(name('report.pdf')) && !isBanned({ kind: 'type', text: 'text/plain' }))
})

test('no message makes the walk throw, and none makes it slow', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom('--b', '--b--', '', 'Content-Type: multipart/x; boundary=b', 'Content-Type: message/rfc822'),
          fc.string({ maxLength: 30 }),
        ),
      ),
      fc.integer({ min: 1, max: 9 }),
      (lines, pieceBytes) => void walk(lines.join('\r\n'), pieceBytes),
    ),
  )
  for (const poison of [
    `Content-Type: x; ${'a="'.repeat(30_000)}\r\n\r\n`,
    `Content-Type: x;${' '.repeat(100_000)}name=${'*'.repeat(100_000)}\r\n\r\n`,
    Array.from({ length: 5_000 }, (_one, n) => `Content-Type: multipart/x; boundary=b${n}\r\n\r\n--b${n}\r\n`).join(''),
    `Content-Type: multipart/x; boundary=b\r\n\r\n${'--b\r\n'.repeat(200_000)}`,
    `Content-Type: x; name="${'a'.repeat(60_000)}"\r\n\r\n${'x'.repeat(3_000_000)}`,
    `Content-Transfer-Encoding: base64\r\n\r\n${'!'.repeat(2_000_000)}`,
    `Content-Transfer-Encoding: base64\r\n\r\n${'!!!!\r\n'.repeat(500_000)}`,
    `Content-Transfer-Encoding: quoted-printable\r\n\r\n${'=\r\n'.repeat(500_000)}`,
  ])
    assert.ok(walk(poison).length <= 20_000)
})

const infected = Buffer.from(multipart('Content-Disposition: attachment; filename=bad.exe\r\n\r\nx'))

async function filtered(
  banned: BannedSettings,
  origin: Origin = stranger,
  ...tags: readonly string[]
): Promise<Disposition> {
  const { context } = testContext(zoneResolver({}), { banned })
  const stage = await openFilter(context)
  const disposition = await stage.handle(
    stageMessage(infected, { ...testEnvelope(origin), tags: tags.map(tag) }),
    context,
  )
  await stage.close()
  return disposition
}

test("a banned file keeps a stranger's mail back with its name; our users send what they like", async () => {
  const held = { kind: 'hold', quarantine: 'banned', reason: 'banned: bad.exe' }
  const bad = listTable('bad.*')
  assert.deepEqual(await filtered(bannedSettings()), held)
  assert.deepEqual(await filtered(bannedSettings({ files: bad, found: 'reject' })), held, 'no bounce to a stranger')
  assert.equal((await filtered(bannedSettings({ files: listTable('*.scr'), found: 'discard' }))).kind, 'pass')
  assert.equal((await filtered(bannedSettings(), { ...stranger, user: 'jane' })).kind, 'pass')
})

test('a policy for a tag holds for whoever has it, our users too; the first that fits', async () => {
  const { limits, policies } = bannedSettings()
  const [general] = policies
  assert.ok(general)
  const settings: BannedSettings = {
    limits,
    policies: [
      general,
      { ...general, tag: 'Trusted', files: 'any' },
      { ...general, tag: 'ORIGINATING', found: 'reject' },
      { ...general, tag: 'Trusted2', found: 'discard' },
    ],
  }
  const user = { ...stranger, user: 'jane' }
  assert.equal((await filtered(settings, user, 'originating')).kind, 'reject')
  assert.equal((await filtered(settings, user, 'Other')).kind, 'pass')
  assert.equal((await filtered(settings, stranger, 'Trusted')).kind, 'pass')
  assert.equal((await filtered(settings, stranger, 'Trusted', 'Trusted2')).kind, 'pass')
  assert.equal((await filtered(settings, stranger, 'Trusted2')).kind, 'discard')
  assert.equal((await filtered(settings, stranger, 'Other')).kind, 'hold')
})
