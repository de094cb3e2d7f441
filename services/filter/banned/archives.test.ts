import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

import fc from 'fast-check'

import type { BannedPolicy, BannedSettings } from '../../../shared/config/model.ts'
import { rarOf, tarOf, zipOf } from '../../../test/support/archives.ts'
import type { EngineResult } from '../engine.ts'
import { bannedSettings, stageMessage, testContext, testEnvelope, zoneResolver } from '../testing.ts'
import { compileBanned, defaultBanned } from './banned-files.ts'
import { createBannedEngine } from './engine.ts'
import { macroType } from './file-kind.ts'
import type { FoundFile } from './found-file.ts'
import { MessageLook } from './message-look.ts'
import { openLook } from './open-look.ts'
import { Search } from './search.ts'
import type { SearchLimits } from './search.ts'

const program = Buffer.concat([Buffer.from('MZ\x90\x00', 'latin1'), Buffer.alloc(2_000, 3)])
const text = Buffer.from('nothing to see here\n')
const limits: SearchLimits = { depth: 8, files: 10_000, unpackedBytes: 268_435_456 }

function attached(name: string, octets: Buffer): Buffer {
  const lines = octets.toString('base64').match(/.{1,76}/g) ?? []
  const part = [
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    ...lines,
  ]
  const message = ['Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'hello', '--b', ...part, '--b--', '']
  return Buffer.from(message.join('\r\n'))
}

async function found(
  message: Buffer,
  { pieceBytes = 65_536, ...most }: Partial<SearchLimits> & { readonly pieceBytes?: number } = {},
): Promise<readonly FoundFile[]> {
  const files: FoundFile[] = []
  const { signal } = new AbortController()
  const tell = (file: FoundFile): void => void files.push(file)
  const search = new Search({ limits: { ...limits, ...most }, tell, signal, openLook })
  const look = new MessageLook(search, { depth: 0 })
  for (let at = 0; at < message.length; at += pieceBytes) await look.write(message.subarray(at, at + pieceBytes))
  await look.end()
  if (search.isOver) search.close()
  assert.equal(search.unpackers.size, 0, 'nothing is left open')
  return files
}

/** In words: `name x.exe in a.zip`. */
async function told(message: Buffer, options?: Parameters<typeof found>[1]): Promise<readonly string[]> {
  const files = await found(message, options)
  const words = files.map((file) => [file.kind, file.text, ...(file.inside === undefined ? [] : ['in', file.inside])])
  return [...new Set(words.map((one) => one.join(' ')))]
}

const isBanned = compileBanned(defaultBanned)

async function banned(message: Buffer, options?: Parameters<typeof found>[1]): Promise<readonly string[]> {
  const files = (await found(message, options)).filter(isBanned)
  return [...new Set(files.map(({ text, inside }) => `${text} in ${inside}`))]
}

test('a program is found in every archive, by its name and by what it is, whatever the pieces', async () => {
  const files = [
    { name: 'a.txt', octets: text },
    { name: 'folder/invoice.PDF.exe ', octets: text },
    { name: 'picture.png', octets: program },
  ]
  const cases: readonly (readonly [string, Buffer, readonly string[]])[] = [
    ['d.zip', zipOf(files), ['folder/invoice.PDF.exe  in d.zip', 'application/x-dosexec in d.zip']],
    [
      'd.docx',
      zipOf(files.map((file) => ({ ...file, method: 0 }))),
      ['folder/invoice.PDF.exe  in d.docx', 'application/x-dosexec in d.docx'],
    ],
    [
      'd.bin',
      zipOf(files.map((file) => ({ ...file, streamed: true }))),
      ['folder/invoice.PDF.exe  in d.bin', 'application/x-dosexec in d.bin'],
    ],
    ['d.tar', tarOf(files), ['folder/invoice.PDF.exe  in d.tar', 'application/x-dosexec in d.tar']],
    [
      'd.tgz',
      gzipSync(tarOf(files)),
      ['folder/invoice.PDF.exe  in d.tar in d.tgz', 'application/x-dosexec in d.tar in d.tgz'],
    ],
    ['d.gz', gzipSync(program), ['application/x-dosexec in d.gz']],
    ['x.exe.gz', gzipSync(text), ['x.exe in x.exe.gz']],
    ['d.rar', rarOf(files), ['folder/invoice.PDF.exe  in d.rar']],
  ]
  for (const [name, octets, expected] of cases)
    for (const pieceBytes of [997, 65_536])
      assert.deepEqual((await banned(attached(name, octets), { pieceBytes })).toSorted(), expected.toSorted(), name)
  assert.ok((await banned(attached('d.zip', zipOf(files)), { pieceBytes: 1 })).length > 0)
})

test('archives in archives are looked into, messages in them too, and names are long where they are', async () => {
  const inner = zipOf([{ name: 'x.exe', octets: text }])
  const nested = zipOf([{ name: 'inner.zip', octets: inner }])
  assert.deepEqual(await banned(attached('o.zip', nested)), ['x.exe in inner.zip in o.zip'])
  assert.deepEqual(await banned(attached('o.tgz', gzipSync(tarOf([{ name: 'i.zip', octets: inner }])))), [
    'x.exe in i.zip in o.tar in o.tgz',
    'x.exe in o.tar in o.tgz',
  ])
  const mail = zipOf([{ name: 'old.eml', octets: attached('deep.zip', inner) }])
  assert.deepEqual(await banned(attached('mail.zip', mail)), ['x.exe in deep.zip in old.eml in mail.zip'])
  const long = `${'folder/'.repeat(20)}x.exe`
  assert.deepEqual(await banned(attached('o.tar', tarOf([{ name: long, octets: text }]))), [`${long} in o.tar`])
})

test('an attached message is looked into even where it is encoded', async () => {
  const lines =
    attached('x.exe', text)
      .toString('base64')
      .match(/.{1,76}/g) ?? []
  const message = ['Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', ...lines, ''].join('\r\n')
  assert.deepEqual(await banned(Buffer.from(message)), ['x.exe in an archive'])
})

test('nobody hides a file from the headers or from the directory of an archive', async () => {
  const exe = zipOf([{ name: 'x.exe', octets: text }])
  const at = exe.indexOf('PK\x01\x02')
  assert.deepEqual(await banned(attached('a.zip', exe.subarray(0, at))), ['x.exe in a.zip'], 'without a directory')
  assert.deepEqual(await banned(attached('a.zip', exe.subarray(at))), ['x.exe in a.zip'], 'with nothing but one')
  const behind = Buffer.concat([Buffer.from('GIF89a and more'), exe])
  assert.deepEqual(await banned(attached('a.zip', behind)), ['x.exe in a.zip'], 'behind something else')
  const lying = Buffer.from(
    zipOf([
      { name: 'a.txt', octets: text, method: 0 },
      { name: 'x.exe', octets: text },
    ]),
  )
  lying.writeUInt32LE(1_000_000, 18)
  const seen = await banned(attached('a.zip', lying))
  assert.deepEqual(seen, ['x.exe in a.zip', 'x.exe in a.txt in a.zip'], 'behind a size that is a lie')
})

const disagreeing = 'unreadable files and directory that do not agree in a.zip'

async function disagrees(archive: Buffer): Promise<boolean> {
  const opinions = new Set<boolean>()
  for (const pieceBytes of [997, 65_536])
    opinions.add((await told(attached('a.zip', archive), { pieceBytes })).includes(disagreeing))
  assert.equal(opinions.size, 1, 'whatever the pieces')
  return opinions.has(true)
}

const [localAt, listedAt, endAt] = ['PK\x03\x04', 'PK\x01\x02', 'PK\x05\x06']
const two = [
  { name: 'a.txt', octets: text },
  { name: 'inner.zip', octets: zipOf([{ name: 'x.exe', octets: text }]) },
] as const

/** With these numbers written at the last place of a mark, so many octets behind it. */
function patched(archive: Buffer, mark: string, ...numbers: readonly (readonly [behind: number, value: number])[]) {
  const octets = Buffer.from(archive)
  for (const [behind, value] of numbers) octets.writeUInt32LE(value, octets.lastIndexOf(mark) + behind)
  return octets
}

/** In front of the end of the directory the one of ZIP64, which has the numbers that do not fit. */
function zip64Of(archive: Buffer): Buffer {
  const at = archive.lastIndexOf(endAt)
  const wide = Buffer.alloc(76)
  wide.write('PK\x06\x06', 0)
  wide.writeBigUInt64LE(44n, 4)
  for (const [field, behind] of [
    [24, 8],
    [32, 10],
  ] as const)
    wide.writeBigUInt64LE(BigInt(archive.readUInt16LE(at + behind)), field)
  for (const [field, behind] of [
    [40, 12],
    [48, 16],
  ] as const)
    wide.writeBigUInt64LE(BigInt(archive.readUInt32LE(at + behind)), field)
  wide.write('PK\x06\x07', 56)
  wide.writeBigUInt64LE(BigInt(at), 64)
  wide.writeUInt32LE(1, 72)
  const whole = Buffer.concat([archive.subarray(0, at), wide, archive.subarray(at)])
  return patched(whole, endAt, [16, 0xffffffff])
}

test('an archive as packers write it agrees with its directory', async () => {
  const folder = { name: 'folder/', octets: Buffer.alloc(0), method: 0 }
  const noise = Buffer.from(Array.from({ length: 150_000 }, (_one, n) => (n * n) % 251))
  const files = [
    folder,
    ...two,
    { name: 'noise', octets: noise, method: 0 },
    { name: 'empty', octets: Buffer.alloc(0) },
  ]
  const plain = zipOf(files)
  const commented = Buffer.concat([plain, Buffer.from('as it was')])
  commented.writeUInt16LE(9, plain.length - 2)
  const cases: readonly (readonly [string, Buffer])[] = [
    ['plain', plain],
    ['with nothing in it', zipOf([])],
    ['written to a pipe', zipOf(files.map((file) => ({ ...file, streamed: true as const })))],
    ['stored and written to a pipe', zipOf(files.map((file) => ({ ...file, method: 0, streamed: true as const })))],
    ['encrypted', zipOf(files.map((file) => ({ ...file, encrypted: true as const })))],
    ['of a method nobody knows', zipOf(files.map((file) => ({ ...file, method: 14 })))],
    ['without a name, as of 7-Zip from a pipe', zipOf([{ name: '', octets: text }])],
    ['with a comment', commented],
    ['with zeros behind, as of bsdtar to a pipe', Buffer.concat([plain, Buffer.alloc(5_000)])],
    ['with the line end in front of a boundary', Buffer.concat([plain, Buffer.from('\r\n')])],
    ['that starts itself', Buffer.concat([Buffer.from('#!/bin/sh\nexec unzip "$0"\n'), plain])],
    ['of ZIP64', zip64Of(plain)],
    ['of ZIP64 that starts itself', Buffer.concat([program, zip64Of(plain)])],
    ['in which an archive is stored', zipOf([{ name: 'b.zip', octets: plain, method: 0 }])],
    [
      'in which such an archive is stored to a pipe',
      zipOf([{ name: 'b.zip', octets: plain, method: 0, streamed: true }]),
    ],
  ]
  for (const [what, archive] of cases) assert.equal(await disagrees(archive), false, what)
})

test('what only the directory of an archive leads to is told as unreadable', async () => {
  const plain = zipOf(two)
  const second = plain.lastIndexOf(localAt)
  const lying = Buffer.from(zipOf([{ ...two[0], method: 0 }, two[1]]))
  lying.writeUInt32LE(text.length + 200, 18)
  const hidden = zipOf([{ name: 'cover.txt', octets: Buffer.concat([text, zipOf([two[1]])]), method: 0 }])
  const overlapping = patched(hidden, listedAt, [42, hidden.indexOf(localAt, 1)])
  const directory = plain.subarray(plain.indexOf(listedAt), plain.lastIndexOf(endAt))
  const another = Buffer.concat([Buffer.alloc(plain.indexOf(listedAt)), directory, plain])
  const ends = Buffer.concat([plain, plain.subarray(plain.lastIndexOf(endAt))])
  const twoEnds = Buffer.from(ends)
  twoEnds.writeUInt16LE(22, plain.length - 2)
  const cases: readonly (readonly [string, Buffer])[] = [
    ['a size that swallows the next file', lying],
    ['a file within another one', overlapping],
    [
      'the directory of an archive within a file',
      Buffer.concat([
        hidden.subarray(0, hidden.length - 22),
        hidden.subarray(hidden.indexOf(endAt), hidden.indexOf(endAt) + 22),
      ]),
    ],
    ['a name that is another one in the directory', patched(plain, listedAt, [46, 0x2e657865])],
    ['a method that is another one in the directory', patched(plain, listedAt, [8, 0])],
    ['a packed size that is another one in the directory', patched(plain, listedAt, [20, 5])],
    ['an unpacked size that is another one in the directory', patched(plain, listedAt, [24, 5])],
    ['a place where no file is', patched(plain, listedAt, [42, second + 1])],
    ['data that ends before its size', patched(plain, localAt, [18, plain.readUInt32LE(second + 18) + 30])],
    ['two directories: from the beginning, and from the end', another],
    ['two ends of the directory', twoEnds],
    ['something behind the end', ends],
    ['more in the directory than its end says', patched(plain, endAt, [8, 0x00010001])],
    ['a directory that begins elsewhere', patched(plain, endAt, [16, 3])],
    ['another directory of ZIP64', patched(zip64Of(plain), endAt, [12, 7])],
    ['no directory', plain.subarray(0, plain.indexOf(listedAt))],
    ['half a directory', plain.subarray(0, plain.length - 40)],
    ['no archive', Buffer.alloc(3_000, 'no archive')],
  ]
  for (const [what, archive] of cases) assert.equal(await disagrees(archive), true, what)
  assert.equal(
    (await told(attached('a.zip', Buffer.alloc(0)))).includes(disagreeing),
    false,
    'in no octets nothing hides',
  )
})

/** An OLE document ([MS-CFB]): its mark, and a directory with an entry of this name. */
function oleOf(entry: string): Buffer {
  const octets = Buffer.alloc(2_048)
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(octets)
  Buffer.from('Root Entry', 'utf16le').copy(octets, 1_024)
  Buffer.from(`${entry}\0`, 'utf16le').copy(octets, 1_024 + 128)
  return octets
}

/** Each is something else in front, for programs that go by that. */
const fronts: readonly (readonly [string, Buffer])[] = [
  ['gzip', gzipSync(text)],
  ['RAR', rarOf([{ name: 'a.txt', octets: text }])],
  ['tar', tarOf([{ name: 'a.txt', octets: text }])],
  ['OLE', oleOf('WordDocument')],
  ['a program', program],
  ['7z', Buffer.from('7z\xbc\xaf\x27\x1cxx', 'latin1')],
  ['a picture', Buffer.from('GIF89a and more')],
  ['a document', Buffer.from('%PDF-1.7\n%more\n')],
]

test('a ZIP archive is looked into whatever stands in front of it, and whatever it is called', async () => {
  const inner = zipOf([{ name: 'y.exe', octets: text }])
  const zip = zipOf([
    { name: 'x.exe', octets: text },
    { name: 'inner', octets: inner, method: 0 },
  ])
  for (const [front, octets] of fronts)
    for (const name of ['a.zip', 'a.docx', 'a.bin'])
      for (const pieceBytes of [997, 65_536]) {
        const seen = await told(attached(name, Buffer.concat([octets, zip])), { pieceBytes })
        for (const expected of [`name x.exe in ${name}`, `name y.exe in inner in ${name}`])
          assert.ok(seen.includes(expected), `${front}: ${seen.join()}`)
      }
  const packed = gzipSync(Buffer.concat([gzipSync(text), zip]))
  assert.ok((await banned(attached('a.bin.gz', packed))).includes('x.exe in a.bin in a.bin.gz'), 'in another archive')
  const signed = Buffer.concat([gzipSync(text), zip, Buffer.from('signed')])
  assert.ok((await banned(attached('a.jar', signed))).includes('x.exe in a.jar'), 'named so, with something behind it')
})

test('behind something else, too, a directory that leads elsewhere is told, and a bomb is one', async () => {
  const named = patched(zipOf(two), listedAt, [46, 0x2e657865])
  for (const [front, octets] of fronts)
    for (const name of ['a.zip', 'a.bin']) {
      const seen = await told(attached(name, Buffer.concat([octets, named])))
      assert.ok(
        seen.includes(`unreadable files and directory that do not agree in ${name}`),
        `${front}: ${seen.join()}`,
      )
    }
  const bomb = Buffer.concat([gzipSync(text), zipOf([{ name: 'zeros', octets: Buffer.alloc(50_000_000) }])])
  assert.ok((await told(attached('a.bin', bomb))).includes('limit unpacks to more than 250 times its size in a.bin'))
  const ends = Buffer.concat(Array.from({ length: 5_000 }, () => zipOf([])))
  assert.ok((await told(attached('a.bin', Buffer.concat([program, ends])))).length > 0)
})

test('a file that only contains archives is none, and comes no nearer to a limit', async () => {
  const zip = zipOf([{ name: 'a.txt', octets: Buffer.alloc(10_000, 1) }])
  const tar = tarOf([
    { name: 'a.zip', octets: zip },
    { name: 'readme', octets: text },
  ])
  const files: readonly (readonly [string, Buffer, string])[] = [
    ['a.tar', tar, 'name a.txt in a.zip in a.tar'],
    ['a.tgz', gzipSync(tar), 'name a.txt in a.zip in a.tar in a.tgz'],
    ['a.pdf', Buffer.concat([Buffer.from('%PDF'), zip, text]), 'name a.pdf'],
    ['a.docx', oleOf('EncryptedPackage'), 'encrypted Office document in a.docx'],
    ...fronts.map(([, octets]) => ['a.bin', octets, 'name a.bin'] as const),
  ]
  for (const [name, octets, expected] of files) {
    const seen = await told(attached(name, octets), { unpackedBytes: 25_000 })
    assert.ok(seen.includes(expected), seen.join())
    assert.ok(!seen.some((one) => one.includes('agree') || one.startsWith('limit')), seen.join())
  }
  const last = tarOf([{ name: 'a.zip', octets: zip }])
  const seen = await told(attached('a.tar', last), { unpackedBytes: 12_000 })
  assert.ok(!seen.some((one) => one.includes('agree') || one.startsWith('limit')), seen.join())
})

test('macros are told, in documents of the old form and of the new one; passwords, too', async () => {
  const docm = zipOf([
    { name: '[Content_Types].xml', octets: text },
    { name: 'word/vbaProject.bin', octets: oleOf('VBA') },
  ])
  assert.ok((await told(attached('r.docm', docm))).includes(`type ${macroType} in r.docm`))
  const doc = oleOf('_VBA_PROJECT')
  for (const pieceBytes of [1, 100, 65_536])
    assert.ok((await told(attached('r.doc', doc), { pieceBytes })).includes(`type ${macroType} in r.doc`))
  assert.ok(
    (await told(attached('z.zip', zipOf([{ name: 'r.xls', octets: doc }])))).includes(
      `type ${macroType} in r.xls in z.zip`,
    ),
  )
  assert.ok((await told(attached('r.docx', oleOf('EncryptedPackage')))).includes('encrypted Office document in r.docx'))
  const plain = [
    ...(await told(attached('r.doc', oleOf('WordDocument')))),
    ...(await told(attached('r.docx', zipOf([])))),
  ]
  assert.ok(!plain.some((one) => one.includes(macroType) || one.startsWith('encrypted')))
})

test('what nobody can look into is told, and its names where they are in the clear', async () => {
  const secret = { name: 'secret.exe', octets: text, encrypted: true } as const
  const zip = await told(attached('s.zip', zipOf([secret])))
  assert.ok(zip.includes('encrypted secret.exe in s.zip') && zip.includes('name secret.exe in s.zip'))
  assert.ok((await told(attached('s.rar', rarOf([secret])))).includes('encrypted secret.exe in s.rar'))
  assert.ok((await told(attached('s.7z', Buffer.from('7z\xbc\xaf\x27\x1cxx', 'latin1')))).includes('unreadable s.7z'))
  const lzma = zipOf([
    { name: 'a.txt', octets: text, method: 14 },
    { name: 'b.exe', octets: text },
  ])
  assert.ok((await told(attached('l.zip', lzma))).includes('unreadable a.txt in l.zip'))
  assert.ok((await told(attached('l.zip', lzma))).includes('name b.exe in l.zip'))
  const broken = zipOf([
    { name: 'a.txt', octets: text },
    { name: 'b.exe', octets: text },
  ])
  broken.fill(0xff, 35, 50)
  assert.ok((await told(attached('b.zip', broken))).includes('name b.exe in b.zip'))
})

test('a bomb ends at the limit that is named: size, ratio, number of files, depth', async () => {
  const zeros = Buffer.alloc(50_000_000)
  const ratio = await told(attached('bomb.zip', zipOf([{ name: 'zeros', octets: zeros }])))
  assert.ok(ratio.includes('limit unpacks to more than 250 times its size'), ratio.join())
  const sized = await told(attached('b.gz', gzipSync(zeros)), { unpackedBytes: 1_000_000 })
  assert.ok(sized.includes('limit unpacks to more than 1000000 octets'), sized.join())
  const many = zipOf(Array.from({ length: 30 }, (_one, n) => ({ name: `f${n}`, octets: text })))
  assert.ok((await told(attached('m.zip', many), { files: 20 })).includes('limit more than 20 files in archives'))
  const listed = many.subarray(many.indexOf('PK\x01\x02'))
  assert.ok((await told(attached('l.zip', listed), { files: 20 })).includes('limit more than 20 files in archives'))
  let deep = zipOf([{ name: 'x', octets: text }])
  for (let level = 0; level < 10; level += 1) deep = zipOf([{ name: `${level}.zip`, octets: deep }])
  assert.ok((await told(attached('d.zip', deep))).includes('limit archives more than 8 deep'))
  // Behind the bomb the names of what is attached still count.
  const bomb = attached('bomb.zip', many)
    .toString()
    .replace('--b--', '--b\r\nContent-Type: x/y; name=last.exe\r\n\r\n\r\n--b--')
  assert.ok((await told(Buffer.from(bomb), { files: 20 })).includes('name last.exe'))
})

test('no file hides behind ten thousand names that are none', async () => {
  const entry = Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.alloc(42), Buffer.from('x')])
  entry.writeUInt16LE(1, 28)
  const names = Buffer.concat(Array.from({ length: 10_001 }, () => entry))
  const archive = zipOf([
    { name: 'a.txt', octets: names, method: 0 },
    { name: 'b.txt', octets: text },
  ])
  assert.ok((await told(attached('a.zip', archive))).includes('limit more than 10000 files in archives'))
})

test('too many parts, or parts too deep in each other, are told', async () => {
  const parts = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(10_001)}`
  assert.ok((await told(Buffer.from(parts))).includes('limit more than 10000 parts'))
  const deep = Array.from({ length: 120 }, (_one, n) => `Content-Type: multipart/x; boundary=b${n}\r\n\r\n--b${n}\r\n`)
  assert.ok((await told(Buffer.from(deep.join('')))).includes('limit parts more than 100 deep'))
})

test('no archive makes the search throw', async () => {
  const whole = [
    zipOf([
      { name: 'a', octets: program },
      { name: 'b', octets: text, streamed: true },
    ]),
    gzipSync(tarOf([{ name: 'a', octets: text }])),
    tarOf([{ name: 'a', octets: text }]),
    rarOf([
      { name: 'a', octets: text },
      { name: 'b', octets: text, encrypted: true },
    ]),
    Buffer.from(`Rar!\x1a\x07\0${'\0\0\x74\x24\x81\x40\0'.repeat(3)}`, 'latin1'),
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 8 }),
      fc.integer({ min: 1, max: 2_000 }),
      async (octets, changes, pieceBytes) => {
        const damaged = Buffer.from(octets)
        for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value
        await found(attached('x.bin', damaged), { pieceBytes })
      },
    ),
  )
})

async function scanned(message: Buffer, settings: BannedSettings): Promise<EngineResult> {
  const { context } = testContext(zoneResolver({}))
  const { stored, envelope, sizeBytes } = stageMessage(message, testEnvelope())
  const engine = createBannedEngine(settings, context.tables)
  const scan = { envelope, sizeBytes, header: message, received: Buffer.alloc(0) }
  return engine.scan(
    { ...scan, content: () => stored.content(), stream: () => stored.stream() },
    new AbortController().signal,
  )
}

test('each finding has the action that is written for it, and the heaviest counts', async () => {
  const secret = attached('s.zip', zipOf([{ name: 'secret.txt', octets: text, encrypted: true }]))
  const macros = attached('r.doc', oleOf('_VBA_PROJECT'))
  const seven = attached('s.7z', Buffer.from('7z\xbc\xaf\x27\x1cxx', 'latin1'))
  const bomb = attached(
    'd.zip',
    zipOf([
      { name: 'a', octets: text },
      { name: 'b', octets: text },
    ]),
  )
  const both = attached('s.zip', zipOf([{ name: 'x.exe', octets: text, encrypted: true }]))
  const cases: readonly (readonly [Buffer, Partial<BannedPolicy>, string | undefined, string])[] = [
    [secret, {}, undefined, ''],
    [secret, { encrypted: 'reject' }, 'reject', 'banned: encrypted: secret.txt in s.zip'],
    [macros, { macros: 'tag' }, 'junk', `banned: type ${macroType} in r.doc`],
    [macros, { files: 'any', macros: 'discard' }, 'discard', `banned: type ${macroType} in r.doc`],
    [seven, { unreadable: 'quarantine' }, 'quarantine', 'banned: unreadable: s.7z'],
    [bomb, { found: 'discard' }, 'quarantine', 'banned: limit: more than 1 files in archives'],
    [bomb, { found: 'tag' }, 'junk', 'banned: limit: more than 1 files in archives'],
    [both, { found: 'tag', encrypted: 'reject' }, 'reject', 'banned: encrypted: x.exe in s.zip'],
    [both, { found: 'discard', encrypted: 'reject' }, 'discard', 'banned: x.exe in s.zip'],
  ]
  for (const [message, policy, action, reason] of cases) {
    const { demand } = await scanned(message, bannedSettings(policy, message === bomb ? { files: 1 } : {}))
    assert.deepEqual([demand?.action, demand?.reason ?? ''], [action, reason])
  }
})
