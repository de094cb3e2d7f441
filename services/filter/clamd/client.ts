import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

import type { SocketPlace } from '../../../shared/config/model.ts'

/** What clamd says about one stream. */
export type ClamdReply =
  | { readonly kind: 'clean' }
  | { readonly kind: 'infected'; readonly name: string }
  /** It did not take all of it: longer than its StreamMaxLength. */
  | { readonly kind: 'too long' }

/** clamd answers, but not what it was asked. */
export class ClamdError extends Error {
  override readonly name = 'ClamdError'
}

const mostReplyBytes = 4_096

/**
 * Sends the content by INSTREAM (clamd(8)) as it is read, never faster than clamd takes it, on a connection of its own, which clamd
 * closes behind every command. Over its StreamMaxLength clamd answers and resets the connection, and the answer may be lost on the
 * way: a reset by a clamd that is alive is taken for it.
 * @throws ClamdError, the socket's error, the reason of `signal`
 */
export async function scanStream(place: SocketPlace, content: Readable, signal: AbortSignal): Promise<ClamdReply> {
  let isConnected = false
  try {
    const reply = await converse(place, signal, async (socket, hasAnswered) => {
      isConnected = true
      await sendChunks(socket, content, hasAnswered)
    })
    return readReply(reply)
  } catch (error) {
    signal.throwIfAborted()
    if (isConnected && isReset(error) && (await answersPing(place, signal))) return { kind: 'too long' }
    throw error
  } finally {
    content.destroy()
  }
}

async function answersPing(place: SocketPlace, signal: AbortSignal): Promise<boolean> {
  try {
    return (await converse(place, signal, async (socket) => void socket.write('zPING\0'))) === 'PONG'
  } catch {
    signal.throwIfAborted()
    return false
  }
}

/** Speaks, and resolves with what clamd answers up to its NUL, even when it answers before everything is said. */
function converse(
  place: SocketPlace,
  signal: AbortSignal,
  speak: (socket: Socket, hasAnswered: () => boolean) => Promise<void>,
): Promise<string> {
  signal.throwIfAborted()
  const socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
  const abort = (): void => void socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  const answer = new Promise<string>((resolve, reject) => {
    let reply = ''
    let isOver = false
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      reply += chunk.toString('latin1')
      const end = reply.indexOf('\0')
      if (end >= 0) {
        isOver = true
        resolve(reply.slice(0, end))
      } else if (reply.length > mostReplyBytes) socket.destroy(new ClamdError('clamd answers without end'))
    })
    socket.on('error', reject)
    socket.once('close', () => reject(new ClamdError('clamd closed the connection without an answer')))
    socket.once('connect', () => {
      speak(socket, () => isOver).catch((error: unknown) => socket.destroy(error as Error))
    })
  })
  return answer.finally(() => {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  })
}

/** Each chunk with its length before it; length 0 ends the stream. */
async function sendChunks(socket: Socket, content: Readable, hasAnswered: () => boolean): Promise<void> {
  socket.write('zINSTREAM\0')
  for await (const chunk of content as AsyncIterable<Buffer>) {
    if (hasAnswered() || socket.destroyed) return
    if (chunk.length === 0) continue
    socket.cork()
    socket.write(uint32(chunk.length))
    const takesMore = socket.write(chunk)
    socket.uncork()
    if (!takesMore) await drained(socket)
  }
  if (!socket.destroyed) socket.write(uint32(0))
}

function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

/** Resolves too when the connection is gone: who reads the answer knows why. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.once('drain', done).once('close', done)
  })
}

function isReset(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** `stream: OK`, `stream: Eicar-Test-Signature FOUND`, `INSTREAM size limit exceeded. ERROR`. */
function readReply(reply: string): ClamdReply {
  if (reply.endsWith(': OK')) return { kind: 'clean' }
  const found = /: (.+) FOUND$/.exec(reply)?.[1]
  if (found !== undefined) return { kind: 'infected', name: found.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, 120) }
  if (reply.startsWith('INSTREAM size limit exceeded')) return { kind: 'too long' }
  throw new ClamdError(`clamd says: ${reply.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)}`)
}
