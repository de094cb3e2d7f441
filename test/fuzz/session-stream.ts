import type { Random } from './random.ts'

/** One session: a good one, most often with damage; `words` are commands that the listener has beside those of RFC 5321. */
export function sessionStream(random: Random, words: readonly string[] = []): Buffer {
  const lines: string[] = []
  for (let transaction = random.below(3) + 1; transaction > 0; transaction -= 1) {
    if (words.length > 0 && random.below(3) > 0) lines.push(...said(['EHLO client.test', random.pick(words)]))
    lines.push(...transactionLines(random))
  }
  lines.push('QUIT\r\n')
  let text = lines.join('')
  for (let damages = random.pick([0, 0, 0, 1, 1, 2, 8]); damages > 0; damages -= 1) text = damaged(text, random)
  return Buffer.from(text, 'latin1')
}

function said(commands: readonly string[]): readonly string[] {
  return commands.map((line) => `${line}\r\n`)
}

function transactionLines(random: Random): readonly string[] {
  const hello = random.pick(['EHLO client.test', 'HELO client.test', 'EHLO [127.0.0.1]', 'NOOP', 'RSET'])
  const lines = [hello, `MAIL FROM:${random.pick(paths)}${random.pick(mailParameters)}`]
  for (let count = random.below(4) + 1; count > 0; count -= 1)
    lines.push(`RCPT TO:${random.pick(paths)}${random.pick(['', '', '', ' NOTIFY=NEVER', ' ORCPT=rfc822;a+40b'])}`)
  if (random.below(6) === 0) lines.push(random.pick(oddCommands))
  const commands = said(lines)
  return random.below(5) === 0 ? [...commands, ...chunks(random)] : [...commands, 'DATA\r\n', body(random), '.\r\n']
}

function body(random: Random): string {
  const sound = random.below(2) === 0
  const parts = [random.pick(sound ? headers.slice(0, 3) : headers)]
  for (let count = random.below(8); count > 0; count -= 1) parts.push(random.pick(sound ? soundParts : bodyParts))
  const text = parts.join('')
  return text.endsWith('\r\n') ? text : `${text}\r\n`
}

function chunks(random: Random): readonly string[] {
  const pieces = Array.from({ length: random.below(3) + 1 }, () => body(random))
  return pieces.map((piece, index) => {
    const lies = random.below(8) === 0 ? random.below(5) - 2 : 0
    return `BDAT ${Math.max(0, piece.length + lies)}${index === pieces.length - 1 ? ' LAST' : ''}\r\n${piece}`
  })
}

function damaged(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const length = random.below(random.pick([2, 8, 60]))
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length)
    case 1:
      return text.slice(0, at) + text.slice(at, at + length) + text.slice(at)
    case 2:
      return text.slice(0, at) + random.pick(insertions) + text.slice(at)
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
    case 4:
      return replaceOne(text, '\r\n', random.pick(['\n', '\r', '\r\r\n', '\n\r', '\r\n\r\n', '']), at)
    case 5:
      return replaceOne(text, ' ', random.pick(['\t', '', '  ', '\x00', '\x0b']), at)
    case 6:
      return text.slice(0, at)
    default:
      return text.slice(0, at) + random.pick(oddCommands) + random.pick(['\r\n', '\n', '']) + text.slice(at)
  }
}

function replaceOne(text: string, what: string, by: string, from: number): string {
  const at = text.indexOf(what, from)
  return at < 0 ? text : text.slice(0, at) + by + text.slice(at + what.length)
}

const paths = [
  '<a@example.net>',
  '<>',
  '<jane@example.org>',
  '<john@example.org>',
  '<list@example.org>',
  '<nobody@example.org>',
  '<broken@example.org>',
  '<victim@elsewhere.test>',
  '<victim%elsewhere.test@example.org>',
  '<@example.org:victim@elsewhere.test>',
  '<"jane"@example.org>',
  '<"a b\\"@c"@example.org>',
  '<jane@[127.0.0.1]>',
  '<Postmaster>',
  '<jane@example.org',
  'jane@example.org',
  '<jane@example.org> <john@example.org>',
  `<${'x'.repeat(80)}@example.org>`,
  '<j\xc3\xa4ne@example.org>',
]
const mailParameters = [
  '',
  '',
  '',
  ' SIZE=100',
  ' SIZE=99999999',
  ' BODY=8BITMIME',
  ' SMTPUTF8',
  ' RET=HDRS ENVID=a+0Ab',
  ' AUTH=<>',
  ' NONSENSE=1',
]
const oddCommands = [
  'NOOP',
  'RSET',
  'VRFY jane',
  'EXPN list',
  'HELP',
  'STARTTLS',
  'AUTH PLAIN AGphbmUAc2VjcmV0',
  'AUTH LOGIN',
  'DATA',
  'BDAT 5 LAST',
  'BDAT 99999999999',
  'BDAT -1',
  'BDAT\t20 LAST',
  'BDAT 20\tLAST',
  'BDAT 0 LAST',
  'BDAT 007',
  'BDAT 6',
  'BDAT',
  'GET / HTTP/1.1',
  'XCLIENT ADDR=127.0.0.1',
  'XFORWARD ADDR=127.0.0.1',
  'QUIT now',
  '',
  'MAIL FROM:<evil@example.net>',
  'RCPT TO:<victim@elsewhere.test>',
  'EHLO',
  '*',
  '.',
  '\x00\xff\x80',
  'TURN',
  'N'.repeat(3_000),
]
const headers = [
  'Subject: x\r\n\r\n',
  'From: a@example.net\r\nSubject: x\r\n folded\r\n\r\n',
  '\r\n',
  '',
  'Received: from a by b; Sat, 21 Nov 2026 03:22:05 +0000\r\n'.repeat(120),
  `X-Long: ${'y'.repeat(5_000)}\r\n\r\n`,
]
const smuggled = 'MAIL FROM:<evil@example.net>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n'
const soundParts = ['Hello\r\n', '..\r\n', '.x\r\n', '...\r\n', '\r\n', ' \r\n', '\xff\x00\x80\r\n', '..\r\n.x.\r\n']
const bodyParts = [
  'Hello\r\n',
  '..\r\n',
  '.x\r\n',
  '...\r\n',
  '\r\n',
  '\r\n\r\n',
  ' \r\n',
  'a\rb\r\n',
  'a\nb\r\n',
  '\xff\x00\x80\r\n',
  '\n.\n',
  '\n.\r\n',
  '\r.\r\n',
  '\r\n.\r',
  '\r\n.\n',
  '\r.\r',
  '\n.\r',
  '\r\n.\r\r\n',
  '\r\r\n.\r\r\n',
  '\r\n\x00.\r\n',
  `\n.\n${smuggled}`,
  `\n.\r\n${smuggled}`,
  `\r.\r\n${smuggled}`,
  `\r\n.\r${smuggled}`,
  `\r\n.\n${smuggled}`,
  `${'z'.repeat(2_000)}\r\n`,
  `${'0123456789'.repeat(98)}\r\n`.repeat(12),
]
const insertions = [
  '\r\n.\r\n',
  '\r\n',
  '\n',
  '\r',
  '\n.\n',
  '\n.\r\n',
  '\x00',
  '\x1b',
  '\x7f',
  '\xff',
  '\r\n.',
  ' ',
  '<',
  '>',
  '"',
]
