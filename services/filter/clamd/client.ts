import { connect } from 'node:net'
import type { Readable } from 'node:stream'

import type { SocketPlace } from '../../../shared/config/model.ts'
import { ClamdError, ClamdSession } from './session.ts'

/** What clamd says about one stream. */
export type ClamdReply =
  | { readonly kind: 'clean' }
  | { readonly kind: 'infected'; readonly name: string }
  /** It did not take all of it: longer than its StreamMaxLength. */
  | { readonly kind: 'too long' }

export interface Clamd {
  /**
   * @param open gives the content, from its beginning each time
   * @throws ClamdError, the socket's error, the reason of `signal`
   */
  scan(open: () => Readable, signal: AbortSignal): Promise<ClamdReply>
  close(): void
}

/**
 * Connections to clamd, as many as streams at a time; they stay open for the next ones. One that clamd ended while it rested is replaced, and its
 * stream sent again. Over its StreamMaxLength clamd answers and resets the connection, and the answer may be lost on the way: a reset by a clamd
 * that is alive is taken for it.
 */
export function openClamd(place: SocketPlace): Clamd {
  const resting: ClamdSession[] = []
  const all = new Set<ClamdSession>()

  function connected(): ClamdSession {
    const session: ClamdSession = new ClamdSession(place, () => all.delete(session))
    all.add(session)
    return session
  }

  function rested(): ClamdSession | undefined {
    for (let one = resting.pop(); one !== undefined; one = resting.pop()) if (one.isOpen) return one
    return undefined
  }

  async function scan(session: ClamdSession, open: () => Readable, signal: AbortSignal): Promise<ClamdReply> {
    try {
      const reply = readReply(await session.scan(open(), signal))
      if (session.isOpen) resting.push(session)
      return reply
    } catch (error) {
      session.end()
      signal.throwIfAborted()
      if (error instanceof UnfitReply) throw error
      if (session.wasUsed) return scan(connected(), open, signal)
      if (session.isConnected && isReset(error) && (await answersPing(place, signal))) return { kind: 'too long' }
      throw error
    }
  }

  return {
    scan: (open, signal) => scan(rested() ?? connected(), open, signal),
    close() {
      for (const session of all) session.end()
    },
  }
}

/** Of a connection of its own, which clamd ends behind the answer. */
function answersPing(place: SocketPlace, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
    const abort = (): void => void socket.destroy()
    signal.addEventListener('abort', abort, { once: true })
    let said = ''
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1')
      if (said.length >= 'PONG\0'.length) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      signal.removeEventListener('abort', abort)
      resolve(said === 'PONG\0')
    })
    socket.write('zPING\0')
  })
}

function isReset(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** It was asked, and says that it cannot. */
class UnfitReply extends ClamdError {}

/** `stream: OK`, `stream: Eicar-Test-Signature FOUND`, `INSTREAM size limit exceeded. ERROR`. */
function readReply(reply: string): ClamdReply {
  if (reply.endsWith(': OK')) return { kind: 'clean' }
  const found = /: (.+) FOUND$/.exec(reply)?.[1]
  if (found !== undefined) return { kind: 'infected', name: found.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, 120) }
  if (reply.startsWith('INSTREAM size limit exceeded')) return { kind: 'too long' }
  throw new UnfitReply(`clamd says: ${reply.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)}`)
}
