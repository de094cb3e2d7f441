import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { domainOf } from '../../shared/mail/address.ts'
import { startInbound, testPipeline } from '../../services/inbound/testing.ts'
import type { TestInbound } from '../../services/inbound/testing.ts'
import { createRandom } from './random.ts'
import type { Random } from './random.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Asked before each session. */
  readonly goesOn: (sessions: number) => boolean
}

export interface FuzzResult {
  readonly sessions: number
  readonly octets: number
  readonly replies: number
  readonly accepted: number
}

/** A server that does not answer for so long hangs. */
const hangMs = 60_000
const bareLineEndsOf = ['reject', 'repair'] as const

/**
 * Sends sessions that no client should send, well-formed ones with damage, to an inbound service in this process. Strangers only.
 * @throws AssertionError with the seed and the octets when the server hangs, answers what is no reply, takes a message that was not
 * ended by CR LF . CR LF or differs from what was sent, or takes mail for a domain that is not ours
 */
export async function fuzzSessions({ seed, goesOn }: FuzzOptions): Promise<FuzzResult> {
  const inbounds = await Promise.all(bareLineEndsOf.map(startFuzzed))
  const total = { sessions: 0, octets: 0, replies: 0, accepted: 0 }
  try {
    for (; goesOn(total.sessions); total.sessions += 1) {
      const random = createRandom(seed + total.sessions)
      const strict = total.sessions % 3 !== 2
      const inbound = inbounds[strict ? 0 : 1]
      assert.ok(inbound !== undefined)
      const stream = streamOf(random)
      const before = inbound.accepted.length
      const answered = await converse(inbound.port, stream, random)
      const accepted = inbound.accepted.slice(before)
      judge({ stream, answered, accepted, strict, seed: seed + total.sessions })
      total.octets += stream.length
      total.replies += repliesIn(answered).length
      total.accepted += accepted.length
      inbound.accepted.length = 0
      inbound.events.length = 0
      inbound.rejections.length = 0
      inbound.told.length = 0
    }
  } finally {
    for (const inbound of inbounds) await inbound.close()
  }
  return total
}

async function startFuzzed(bareLineEnds: (typeof bareLineEndsOf)[number]): Promise<TestInbound> {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  return startInbound({
    listener: { tls: 'offered', pkis: ['server'] },
    configuration: {
      maxMessageBytes: 20_000,
      pipeline: {
        ...testPipeline,
        sessions: [{ at, settings: { bareLineEnds, greetingWaitMs: 0, headerBytes: 4_096 } }],
      },
    },
  })
}

/** All that the server said until it closed. */
async function converse(port: number, stream: Buffer, random: Random): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  const parts: Buffer[] = []
  socket.on('data', (part) => parts.push(part)).on('error', () => undefined)
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
  await once(socket, 'connect')
  if (random.below(10) > 0) await greeted(socket)
  let at = 0
  while (at < stream.length && !socket.destroyed) {
    const length = random.below(3) === 0 ? random.below(8) + 1 : random.below(2_000) + 1
    const data = stream.indexOf('DATA\r\n', at)
    const atData = data >= 0 && data < at + length
    const end = atData ? data + 6 : Math.min(at + length, stream.length)
    const before = socket.bytesRead
    if (socket.writable) socket.write(stream.subarray(at, end))
    // Who does not wait for 354 is sent away; most do.
    const waits = atData && random.below(10) > 0
    for (let turn = waits ? 300 : random.below(4); turn > 0; turn -= 1) {
      await nextTurn()
      if (waits && socket.bytesRead > before) break
    }
    at = end
  }
  socket.end()
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<'hangs'>((resolve) => {
    timer = setTimeout(() => resolve('hangs'), hangMs)
  })
  const end = await Promise.race([closed, hang])
  clearTimeout(timer)
  socket.destroy()
  if (end === 'hangs') assert.fail(`the server does not close: ${shown(stream)}`)
  return Buffer.concat(parts).toString('latin1')
}

async function greeted(socket: Socket): Promise<void> {
  if (socket.bytesRead > 0) return
  await Promise.race([once(socket, 'data'), once(socket, 'close')])
}

interface Outcome {
  readonly stream: Buffer
  readonly answered: string
  readonly accepted: TestInbound['accepted']
  /** Bare line ends are refused; else they are made CR LF. */
  readonly strict: boolean
  readonly seed: number
}

function judge({ stream, answered, accepted, strict, seed }: Outcome): void {
  const where = `seed ${seed}: ${shown(stream)}`
  // Behind the reply to STARTTLS comes TLS.
  const [clear = ''] = answered.split(/(?<=^220 2\.0\.0 Ready to start TLS\r\n)/m)
  assert.match(clear, /^(?:[2-5]\d\d[ -][\x20-\x7e]*\r\n)*$/, `what is no reply: ${where}`)
  const queued = repliesIn(clear).filter((line) => line.startsWith('250 2.0.0 Ok: queued as'))
  assert.equal(queued.length, accepted.length, `messages and replies differ: ${where}`)
  for (const { envelope, content } of accepted) {
    for (const { mailbox } of envelope.recipients)
      assert.ok(['example.org', 'mx.sluice.test'].includes(domainOf(mailbox)), `relayed to ${mailbox}: ${where}`)
    assert.doesNotMatch(content, /(?<!\r)\n|\r(?!\n)/, `a bare line end was stored: ${where}`)
    assert.doesNotMatch(JSON.stringify(envelope.reversePath), /[\x00-\x1f\x7f]|\\u00/, `control characters: ${where}`)
    if (strict && !stream.includes('BDAT'))
      assert.ok(messagesIn(stream).has(content), `not as it was sent, or not ended by CR LF . CR LF: ${where}`)
  }
}

/** What RFC 5321 §4.1.1.4 and §4.5.2 make of what stands behind each DATA. */
function messagesIn(stream: Buffer): ReadonlySet<string> {
  const text = stream.toString('latin1')
  const starts = [...text.matchAll(/data[ \t]*\r\n/gi)].map(({ index, 0: command }) => index + command.length)
  const ended = starts.map((start) => [start, text.indexOf('\r\n.\r\n', start - 2)] as const)
  return new Set(
    ended
      .filter(([, end]) => end >= 0)
      .map(([start, end]) => text.slice(start, end + 2).replaceAll(/(?<=^|\r\n)\./g, '')),
  )
}

function repliesIn(answered: string): readonly string[] {
  return answered.split('\r\n').filter((line) => line !== '')
}

function shown(stream: Buffer): string {
  return JSON.stringify(stream.toString('latin1').slice(0, 4_000))
}

/** One session: a good one, most often with damage. */
function streamOf(random: Random): Buffer {
  const lines: string[] = []
  for (let transaction = random.below(3) + 1; transaction > 0; transaction -= 1) lines.push(...transactionLines(random))
  lines.push('QUIT\r\n')
  let text = lines.join('')
  for (let damages = random.pick([0, 0, 0, 1, 1, 2, 8]); damages > 0; damages -= 1) text = damaged(text, random)
  return Buffer.from(text, 'latin1')
}

function transactionLines(random: Random): readonly string[] {
  const hello = random.pick(['EHLO client.test', 'HELO client.test', 'EHLO [127.0.0.1]', 'NOOP', 'RSET'])
  const lines = [hello, `MAIL FROM:${random.pick(paths)}${random.pick(mailParameters)}`]
  for (let count = random.below(4) + 1; count > 0; count -= 1)
    lines.push(`RCPT TO:${random.pick(paths)}${random.pick(['', '', '', ' NOTIFY=NEVER', ' ORCPT=rfc822;a+40b'])}`)
  if (random.below(6) === 0) lines.push(random.pick(oddCommands))
  const commands = lines.map((line) => `${line}\r\n`)
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
