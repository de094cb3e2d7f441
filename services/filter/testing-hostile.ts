import { deflateRawSync } from 'node:zlib'

import { zipOf } from '../../test/support/archives.ts'
import { gtube } from './gtube.ts'
import { headerLength } from './testing.ts'

function mail(fields: readonly string[], body: string): Buffer {
  const header = ['From: jane@example.org', 'To: x@y.example', 'Subject: hello', ...fields]
  const content = Buffer.from(`${header.join('\r\n')}\r\n\r\n${body}`, 'latin1')
  if (headerLength(content) === content.length && body !== '') throw new Error('no body')
  return content
}

function attached(name: string, octets: Buffer): Buffer {
  const encoded = (octets.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n')
  const part = `Content-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n${encoded}`
  return mail(['Content-Type: multipart/mixed; boundary=b'], `--b\r\n\r\nsee there\r\n--b\r\n${part}\r\n--b--\r\n`)
}

const program = Buffer.concat([Buffer.from('MZ\x90\x00', 'latin1'), Buffer.alloc(10_000)])

/** The directory entry by which a document of the old form has macros. */
function macroDocument(): Buffer {
  const octets = Buffer.alloc(2_048)
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(octets)
  Buffer.from('_VBA_PROJECT\0', 'utf16le').copy(octets, 1_024)
  return octets
}

/** 10 archives of 10 archives of 10 files of 100 MB each: 100 GB from a few hundred KB. */
function bomb(): Buffer {
  const packed = deflateRawSync(Buffer.alloc(100_000_000))
  const stored = zipOf([{ name: 'zeros', octets: packed, method: 0 }])
  // The file is deflated once, and its header says so.
  stored.writeUInt16LE(8, 8)
  const level = (octets: Buffer): Buffer =>
    zipOf(Array.from({ length: 10 }, (_one, n) => ({ name: `${n}.zip`, octets })))
  return level(level(stored))
}

const nested = (depth: number): string =>
  Array.from({ length: depth }, (_one, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`).join(
    '',
  )

/** What people send who mean harm, or programs that are broken, by name. */
export const hostileMessages: Readonly<Record<string, () => Buffer>> = {
  gtube: () => mail([], `${gtube}\r\n`),
  'exe in zip': () => attached('a.zip', zipOf([{ name: 'a.txt', octets: program }])),
  'macros, new form': () => attached('a.docm', zipOf([{ name: 'word/vbaProject.bin', octets: macroDocument() }])),
  'macros, old form': () => attached('a.xls', macroDocument()),
  'encrypted zip': () => attached('a.zip', zipOf([{ name: 'a.txt', octets: program, encrypted: true }])),
  'zip bomb': () => attached('a.zip', bomb()),
  '10000 parts': () => mail(['Content-Type: multipart/mixed; boundary=b'], '--b\r\n\r\nx\r\n'.repeat(10_000)),
  '20000 deep': () => mail([nested(20_000).slice(0, -2)], 'x\r\n'),
  '50 MB of text': () => mail([], 'a line of text that goes on and on\r\n'.repeat(1_450_000)),
  '50 MB attached': () => attached('a.bin', Buffer.alloc(37_000_000, 'abc')),
  'broken charsets': () =>
    mail(
      [
        'Subject: =?utf-8?B?////?= =?x-nothing?Q?=FF=FE?= =?iso-2022-jp?B?GyRCJA==?= =?utf-8?Q?=ED=A0=80?=',
        'Content-Type: text/html; charset="utf-7\xff"',
        'Content-Transfer-Encoding: base64',
      ],
      `${Buffer.from('\xff\xfe\x80 \x00 +ADw-script+AD4-', 'latin1').toString('base64')}=\r\n==!!\r\n`,
    ),
  'unknown charset and encoding': () =>
    mail(['Content-Type: text/plain; charset=klingon', 'Content-Transfer-Encoding: rot13'], 'uryyb \xe4\xf6\r\n'),
  'boundary that never comes': () => mail(['Content-Type: multipart/mixed; boundary="x"'], 'no part\r\n'),
  'boundary that is empty': () => mail(['Content-Type: multipart/mixed; boundary=""'], '--\r\n\r\nx\r\n----\r\n'),
  'multipart in base64': () =>
    mail(['Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: base64'], 'LS1iDQo=\r\n'),
  'message in message, 1000 times': () =>
    mail(['Content-Type: message/rfc822'], 'Content-Type: message/rfc822\r\n\r\n'.repeat(1_000)),
  'header of 20000 fields': () =>
    mail(
      Array.from({ length: 20_000 }, (_one, n) => `X-${n}: y`),
      'x\r\n',
    ),
  'field of 1 MB': () => mail([`X-Long: ${'y'.repeat(1_000_000)}`], 'x\r\n'),
  'parameter of 1 MB': () => mail([`Content-Type: text/plain; name="${'y"; x="'.repeat(140_000)}`], 'x\r\n'),
  'line of 10 MB': () => mail([], 'x'.repeat(10_000_000)),
  NULs: () => mail(['Content-Type: text/plain'], '\0'.repeat(100_000)),
  'nothing at all': () => Buffer.alloc(0),
  'header only': () => mail([], ''),
  'HTML that never closes': () => mail(['Content-Type: text/html'], '<div><!--'.repeat(200_000)),
}
