import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { SevenBitConverter, SevenBitSurvey } from './seven-bit.ts'
import type { SevenBitNeed } from './seven-bit.ts'

const octets = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'))

function survey(message: Buffer, chunkBytes = message.length || 1): SevenBitNeed {
  const one = new SevenBitSurvey()
  for (let start = 0; start < message.length; start += chunkBytes) one.push(message.subarray(start, start + chunkBytes))
  return one.end()
}

function convert(message: Buffer, chunkBytes = message.length || 1): Buffer {
  const need = survey(message, chunkBytes)
  assert.ok('plan' in need, `a message that needs ${need.kind}`)
  const one = new SevenBitConverter(need.plan)
  const pieces: Buffer[] = []
  for (let start = 0; start < message.length; start += chunkBytes)
    pieces.push(...one.push(message.subarray(start, start + chunkBytes)))
  return Buffer.concat([...pieces, ...one.end()])
}

test('a text in UTF-8 becomes quoted-printable, and says so in the place where it said 8bit', () => {
  const message = octets(
    'MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nGrüße = gut \nund mehr als genug Worte ohne Umlaut\n',
  )
  assert.equal(
    convert(message).toString('latin1'),
    'MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\n' +
      'Gr=C3=BC=C3=9Fe =3D gut=20\r\nund mehr als genug Worte ohne Umlaut\r\n',
  )
})

test('what is not labelled at all is labelled; a text that is mostly beyond ASCII becomes base64', () => {
  const converted = convert(octets('Subject: x\n\nДобрый день\n')).toString('latin1')
  const [head = '', body = ''] = converted.split('\r\n\r\n')
  assert.match(head, /^Subject: x\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1\.0$/)
  assert.equal(Buffer.from(body, 'base64').toString(), 'Добрый день\r\n')
  assert.ok(converted.endsWith('\r\n'))
})

test('parts are converted one by one, multiparts and attached messages only lose their label', () => {
  const message = octets(
    [
      'Content-Type: multipart/mixed; boundary="a"',
      'Content-Transfer-Encoding: 8bit',
      '',
      'für alte Programme',
      '--a',
      '',
      'plain',
      '--a',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Subject: inside',
      'Content-Transfer-Encoding: 8bit',
      '',
      'ein schönes Beispiel für einen Text',
      '--a',
      'Content-Type: multipart/alternative; boundary=b',
      '',
      '--b',
      'Content-Type: application/pdf',
      'Content-Transfer-Encoding: binary',
      '',
      'ß',
      '--b--',
      '--a--',
      'Schluß',
      '',
    ].join('\n'),
  )
  const expected = [
    'Content-Type: multipart/mixed; boundary="a"',
    'Content-Transfer-Encoding: 7bit',
    'MIME-Version: 1.0',
    '',
    'f??r alte Programme',
    '--a',
    '',
    'plain',
    '--a',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: 7bit',
    '',
    'Subject: inside',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'ein sch=C3=B6nes Beispiel f=C3=BCr einen Text',
    '--a',
    'Content-Type: multipart/alternative; boundary=b',
    '',
    '--b',
    'Content-Type: application/pdf',
    'Content-Transfer-Encoding: base64',
    '',
    'w58=',
    '--b--',
    '--a--',
    'Schlu??',
    '',
  ].join('\r\n')
  for (const chunkBytes of [message.length, 1, 2, 7, 64])
    assert.equal(convert(message, chunkBytes).toString('latin1'), expected, `in chunks of ${chunkBytes}`)
})

test('a message that needs nothing is left alone, whatever its header holds', () => {
  for (const text of ['Subject: x\n\nHello\n', 'Subject: Grüße\n\nHello\n', 'Subject: x\n', ''])
    assert.deepEqual(survey(octets(text)), { kind: 'nothing' })
})

test('what is signed as it stands is told: DKIM, ARC, S/MIME and PGP', () => {
  for (const field of [
    'DKIM-Signature: v=1',
    'ARC-Seal: i=1',
    'Content-Type: multipart/signed; boundary=a; protocol="application/pgp-signature"',
  ])
    assert.equal(survey(octets(`${field}\n\n--a\n\nGrüße\n--a--\n`)).kind, 'signed', field)
})

test('a structure that nobody can follow, or that forbids encoding, is left alone', () => {
  const deep = Array.from(
    { length: 200 },
    (_, level) => `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}`,
  )
  for (const text of [
    `${deep.join('\n')}\n\nGrüße\n`,
    'Content-Type: multipart/mixed\n\nGrüße\n',
    'Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\nGrüße\n--a--\n',
    `Content-Type: multipart/mixed; boundary=a\n\n${'--a\n\nGrüße\n'.repeat(10_001)}--a--\n`,
  ])
    assert.equal(survey(octets(text)).kind, 'unreadable', text.slice(0, 40))
  assert.deepEqual(survey(octets('Content-Transfer-Encoding: base64\n\nGrüße\n')).kind, 'conversion')
  const encoded = octets('Content-Transfer-Encoding: base64\n\nGrüße\n')
  assert.deepEqual(convert(encoded), encoded)
})

interface Part {
  readonly type: string
  readonly label: string
  readonly body: Buffer
}

/** Lines with CRLF, no line that begins with the dashes of a boundary. */
const body = fc
  .array(
    fc.oneof(
      fc
        .uint8Array({ maxLength: 200 })
        .map((line) => Buffer.from(line.filter((octet) => octet !== 10 && octet !== 13))),
      fc.string({ unit: 'grapheme', maxLength: 120 }).map((line) => Buffer.from(line.replaceAll(/[\r\n]/g, ' '))),
      fc.constantFrom('From here', '.', '', '  ', 'ends with blanks \t', '-- ', '--x').map((line) => Buffer.from(line)),
    ),
    { maxLength: 12 },
  )
  .map((lines) => Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\r\n')])).subarray(0, -2))

const part: fc.Arbitrary<Part> = fc.record({
  type: fc.constantFrom('', 'text/plain; charset=utf-8', 'application/octet-stream', 'image/png'),
  label: fc.constantFrom('', '7bit', '8bit', 'binary'),
  body,
})

function written({ type, label, body: content }: Part): Buffer {
  const fields = [
    ...(type === '' ? [] : [`Content-Type: ${type}`]),
    ...(label === '' ? [] : [`Content-Transfer-Encoding: ${label}`]),
  ]
  return Buffer.concat([octets(fields.map((field) => `${field}\n`).join('')), octets('\n'), content])
}

/** What a reader makes of a part; a reader of its own, in one piece. */
function decoded(entity: Buffer): Buffer {
  const text = entity.toString('latin1')
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n') + 2
  const content = text.slice(end + 2)
  const encoding = /^Content-Transfer-Encoding: *(\S*)/im.exec(text.slice(0, end))?.[1]
  if (encoding === 'base64') return Buffer.from(content, 'base64')
  if (encoding !== 'quoted-printable') return Buffer.from(content, 'latin1')
  const hex = (_all: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 16))
  return Buffer.from(content.replaceAll('=\r\n', '').replaceAll(/=([0-9A-F]{2})/g, hex), 'latin1')
}

const boundary = '=_outermost_='

test('every part means the same octets as before, on lines of 7-bit mail, however it was cut into chunks', () => {
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 300 }),
      (parts, chunkBytes) => {
        const head = octets(`MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="${boundary}"\n\n`)
        const between = octets(`\n--${boundary}\n`)
        const pieces = parts.flatMap((one) => [between, written(one)])
        const message = Buffer.concat([head, ...pieces, octets(`\n--${boundary}--\n`)])
        const need = survey(message, chunkBytes)
        if (!('plan' in need)) return assert.equal(need.kind, 'nothing')
        const converted = convert(message, chunkBytes)
        assert.ok(converted.every((octet) => octet < 128))
        const found = converted.toString('latin1').split(`\r\n--${boundary}\r\n`)
        found.push((found.pop() ?? '').replace(`\r\n--${boundary}--\r\n`, ''))
        assert.deepEqual(
          found.slice(1).map((entity) => decoded(Buffer.from(entity, 'latin1')).toString('hex')),
          parts.map((one) => one.body.toString('hex')),
        )
        for (const line of found
          .slice(1)
          .filter((entity) => /quoted-printable|base64/.test(entity))
          .join('\r\n')
          .split('\r\n'))
          assert.ok(line.length <= 76, `a line of ${line.length}`)
      },
    ),
    { numRuns: 400 },
  )
})

test('whatever comes, nothing is lost and nothing throws: where nothing is to be done all octets stay as they are', () => {
  const line = fc.constantFrom(
    'Content-Type: multipart/mixed; boundary=a',
    'Content-Type: multipart/mixed; boundary=b',
    'Content-Type: message/rfc822',
    'Content-Type: text/plain',
    'Content-Transfer-Encoding: 8bit',
    '--a',
    '--b',
    '--a--',
    '--b--',
    '--a  ',
    '--',
    '',
    '',
    'x',
    'Grüße',
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (lines, chunkBytes) => {
      const message = octets(`${lines.join('\n')}\n`)
      const need = survey(message, chunkBytes)
      assert.deepEqual(need, survey(message))
      if ('plan' in need) assert.deepEqual(convert(message, chunkBytes), convert(message))
      const plain = octets(`${lines.join('\n').replaceAll('ü', 'u').replaceAll('ß', 's')}\n`)
      const keeping = new SevenBitConverter([])
      const pieces = [...keeping.push(plain.subarray(0, chunkBytes)), ...keeping.push(plain.subarray(chunkBytes))]
      assert.equal(Buffer.concat([...pieces, ...keeping.end()]).toString(), plain.toString())
    }),
    { numRuns: 600 },
  )
})
