import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { startInbound } from '../../services/inbound/testing.ts'
import type { AcceptedMessage } from '../../services/inbound/testing.ts'
import { domainOf } from '../../shared/mail/address.ts'
import { fuzzedDoors, injector } from './doors.ts'
import type { Door, ProxyHeader } from './doors.ts'
import { createRandom } from './random.ts'
import type { Random } from './random.ts'
import { sessionStream } from './session-stream.ts'

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
  /** Of the messages. */
  readonly ofUsers: number
  readonly inTls: number
  readonly behindProxy: number
}

interface Session {
  readonly door: Door
  readonly header: ProxyHeader | undefined
  /** Behind STARTTLS, in the clear. */
  readonly injected: string | undefined
  readonly stream: Buffer
}

/** A server that does not answer for so long hangs. */
const hangMs = 60_000

/**
 * Sends sessions that no client should send, well-formed ones with damage, to inbound services in this process: in the clear and in
 * TLS, behind a balancer, from users, from clients that speak for others.
 * @throws AssertionError with the seed and the octets when the server hangs, answers what is no reply, takes a message that was not
 * ended by CR LF . CR LF or differs from what was sent, takes mail for a domain that is not ours from somebody who is no user, or
 * carries out what came in the clear before TLS
 */
export async function fuzzSessions({ seed, goesOn }: FuzzOptions): Promise<FuzzResult> {
  const doors = fuzzedDoors()
  const inbounds = await Promise.all(doors.map(({ options }) => startInbound(options)))
  const total = { sessions: 0, octets: 0, replies: 0, accepted: 0, ofUsers: 0, inTls: 0, behindProxy: 0 }
  try {
    for (; goesOn(total.sessions); total.sessions += 1) {
      const random = createRandom(seed + total.sessions)
      const index = random.below(doors.length)
      const [door, inbound] = [doors[index], inbounds[index]]
      assert.ok(door !== undefined && inbound !== undefined)
      const stream = sessionStream(random, door.words)
      const session = { door, header: door.header?.(random), injected: door.injection?.(random), stream }
      const answered = await converse(inbound.port, session, random)
      const accepted = inbound.accepted.splice(0)
      judge(session, { answered, accepted, where: `seed ${seed + total.sessions}: ${shown(stream)}` })
      total.octets += stream.length
      total.replies += repliesIn(answered).length
      total.accepted += accepted.length
      total.ofUsers += accepted.filter(({ envelope }) => envelope.origin.user !== undefined).length
      total.inTls += accepted.filter(({ envelope }) => envelope.origin.tls !== undefined).length
      if (door.header !== undefined) total.behindProxy += accepted.length
      inbound.events.length = 0
      inbound.rejections.length = 0
      inbound.told.length = 0
    }
  } finally {
    for (const inbound of inbounds) await inbound.close()
  }
  return total
}

/** All that the server said until it closed. */
async function converse(port: number, { header, injected, stream }: Session, random: Random): Promise<string> {
  const said: Buffer[] = []
  const plain = connect({ port, host: '127.0.0.1' })
  listen(plain, said)
  await once(plain, 'connect')
  if (header !== undefined) plain.write(header.octets)
  // A header that is no good one may be answered by nothing.
  const waits = header === undefined || header.address !== undefined
  if (waits && random.below(10) > 0) await news(plain)
  const socket = injected === undefined ? plain : await secured(plain, injected, said)
  await send(socket, stream, random)
  socket.end()
  if (!(await closes(socket))) assert.fail(`the server does not close: ${shown(stream)}`)
  return Buffer.concat(said).toString('latin1')
}

function listen(socket: Socket, said: Buffer[]): void {
  socket.on('data', (part: Buffer) => said.push(part)).on('error', () => undefined)
}

/** The server has said something, or closed. */
async function news(socket: Socket): Promise<void> {
  if (socket.bytesRead > 0 || socket.closed) return
  await new Promise((resolve) => socket.once('data', resolve).once('close', resolve))
}

/** Inside TLS, when the server takes the handshake; else closed. */
async function secured(plain: Socket, injected: string, said: Buffer[]): Promise<Socket> {
  if (plain.writable) plain.write(`EHLO client.test\r\nSTARTTLS\r\n${injected}`)
  while (!Buffer.concat(said).includes('Ready to start TLS\r\n')) {
    if (plain.closed) return plain
    await new Promise((resolve) => plain.once('data', resolve).once('close', resolve))
  }
  plain.removeAllListeners('data')
  const socket = connectTls({ socket: plain, rejectUnauthorized: false })
  listen(socket, said)
  await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))
  return socket
}

async function send(socket: Socket, stream: Buffer, random: Random): Promise<void> {
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
}

async function closes(socket: Socket): Promise<boolean> {
  if (socket.closed) return true
  let timer: NodeJS.Timeout | undefined
  const closed = await new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), hangMs)
    socket.once('close', () => resolve(true))
  })
  clearTimeout(timer)
  socket.destroy()
  return closed
}

interface Outcome {
  readonly answered: string
  readonly accepted: readonly AcceptedMessage[]
  /** For who reads a failure. */
  readonly where: string
}

function judge({ door, header, injected, stream }: Session, { answered, accepted, where }: Outcome): void {
  // Behind the reply to STARTTLS comes TLS.
  const [clear = ''] = answered.split(/(?<=^220 2\.0\.0 Ready to start TLS\r\n)/m)
  const replies = injected === undefined ? clear : answered
  assert.match(replies, /^(?:[2-5]\d\d[ -][\x20-\x7e]*\r\n)*$/, `what is no reply: ${where}`)
  // The greeting and the replies to EHLO and HELO have none (RFC 2034 §4), nor has what asks for more.
  for (const line of repliesIn(replies).filter((one) => !/^(?:220|250|334|354)[ -]/.test(one)))
    assert.match(line, /^([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} /, `a reply without its status code: ${where}`)
  const queued = repliesIn(replies).filter((line) => line.startsWith('250 2.0.0 Ok: queued as'))
  assert.equal(queued.length, accepted.length, `messages and replies differ: ${where}`)
  for (const { envelope, content } of accepted) {
    const { origin, reversePath, recipients } = envelope
    const isUsers = origin.user !== undefined
    assert.ok(!isUsers || door.hasUsers === true, `a user from nowhere: ${where}`)
    for (const { mailbox } of recipients) assert.ok(isUsers || isOurs(mailbox), `relayed to ${mailbox}: ${where}`)
    assert.notEqual(reversePath, injector, `what came before TLS was carried out: ${where}`)
    assert.equal(origin.address, header?.address ?? origin.address, `not the client of the header: ${where}`)
    assert.notEqual(isIP(origin.address ?? ''), 0, `not an address: ${where}`)
    assert.doesNotMatch(
      JSON.stringify([reversePath, origin, recipients]),
      /[\x00-\x1f\x7f]|\\u00/,
      `control characters: ${where}`,
    )
    assert.doesNotMatch(content, /(?<!\r)\n|\r(?!\n)/, `a bare line end was stored: ${where}`)
    const asSent = door.bareLineEnds === 'reject' || (door.bareLineEnds === 'repair-users' && !isUsers)
    if (asSent && !/BDAT/i.test(stream.toString('latin1')))
      assert.ok(messagesIn(stream).has(content), `not as it was sent, or not ended by CR LF . CR LF: ${where}`)
  }
}

function isOurs(mailbox: Parameters<typeof domainOf>[0]): boolean {
  return ['example.org', 'mx.sluice.test'].includes(domainOf(mailbox))
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
