import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

import type { SocketPlace } from '../../../shared/config/model.ts'

/** clamd answers, but not what it was asked. */
export class ClamdError extends Error {
  override readonly name = 'ClamdError'
}

const mostReplyBytes = 4_096

interface Waiting {
  readonly resolve: (reply: string) => void
  readonly reject: (error: Error) => void
}

/** A connection in clamd's session mode (IDSESSION, clamd(8)): streams one after the other, each answered once. */
export class ClamdSession {
  readonly #socket: Socket
  #waiting: Waiting | undefined
  #said = ''
  #isConnected = false
  #answers = 0

  /** @param onEnd it cannot be used any more */
  constructor(place: SocketPlace, onEnd: () => void) {
    this.#socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
    this.#socket.setNoDelay(true)
    this.#socket.write('zIDSESSION\0')
    let reason: Error = new ClamdError('clamd closed the connection without an answer')
    this.#socket.once('connect', () => (this.#isConnected = true))
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('error', (error) => (reason = error))
    this.#socket.once('close', () => {
      this.#waiting?.reject(reason)
      this.#waiting = undefined
      onEnd()
    })
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** There is somebody at the other end. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /** It served before: that it ended may have been meant for nobody. */
  get wasUsed(): boolean {
    return this.#answers > 0
  }

  /**
   * Sends the content by INSTREAM as it is read, never faster than clamd takes it; what clamd says of it. An answer before the end of the content
   * ends the session.
   * @throws ClamdError, the socket's error, the reason of `signal`
   */
  async scan(content: Readable, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const abort = (): void => void this.#socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    this.#socket.ref()
    let isSent = false
    const answer = new Promise<string>((resolve, reject) => (this.#waiting = { resolve, reject }))
    sendChunks(this.#socket, content, () => this.#waiting === undefined).then(
      () => (isSent = true),
      (error: unknown) => this.#socket.destroy(error as Error),
    )
    try {
      const reply = await answer
      this.#answers += 1
      if (isSent) this.#socket.unref()
      else this.end()
      return reply
    } finally {
      signal.removeEventListener('abort', abort)
      content.destroy()
    }
  }

  end(): void {
    this.#socket.destroy()
  }

  /** `1: stream: OK` and a NUL. */
  #take(chunk: Buffer): void {
    this.#said += chunk.toString('latin1')
    const end = this.#said.indexOf('\0')
    if (end < 0) {
      if (this.#said.length > mostReplyBytes) this.#socket.destroy(new ClamdError('clamd answers without end'))
      return
    }
    const reply = this.#said.slice(0, end).replace(/^\d+: /, '')
    this.#said = this.#said.slice(end + 1)
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) this.#socket.destroy()
    else waiting.resolve(reply)
  }
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
