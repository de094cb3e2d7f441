import { connect } from 'node:net'
import type { Socket } from 'node:net'

import type { SocketPlace } from '../config/model.ts'

/** The first whole answer in what was received, and how many octets it takes. */
export interface TakenAnswer {
  readonly text: string
  readonly length: number
}

/** How a protocol of questions and answers, one at a time, looks on the wire. */
export interface ExchangeProtocol {
  /** Said first on each connection. */
  readonly hello?: string
  /** `undefined`: more has to come. @throws Error when it is none of the protocol's */
  takeAnswer(received: Buffer): TakenAnswer | undefined
}

/** The connection ended before a word of the answer: on one that was used before, the question may be put again. */
export class ConnectionEndedError extends Error {
  override readonly name = 'ConnectionEndedError'
}

interface Open {
  readonly resolve: (text: string) => void
  readonly reject: (error: Error) => void
}

/** More than any answer of a table has. */
const maximumAnswer = 100_000

/** One connection, for one question at a time. */
export class ExchangeConnection {
  readonly #socket: Socket
  readonly #protocol: ExchangeProtocol
  #received: Buffer = Buffer.alloc(0)
  #open: Open | undefined
  #alive = true

  /** @param onEnd called once, when it cannot be used any more */
  constructor(place: SocketPlace, protocol: ExchangeProtocol, onEnd: () => void) {
    this.#protocol = protocol
    this.#socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
    this.#socket.setNoDelay(true)
    if (protocol.hello !== undefined) this.#socket.write(protocol.hello)
    let reason: Error | undefined
    this.#socket.on('error', (error) => (reason = error))
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('end', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      this.#alive = false
      const ended = reason ?? new Error('it closed the connection')
      this.#fail(this.#received.length > 0 ? ended : new ConnectionEndedError(ended.message, { cause: ended }))
      onEnd()
    })
  }

  get alive(): boolean {
    return this.#alive && !this.#socket.destroyed
  }

  /** Rejects when the connection ends, or `signal` ends it; then it is of no use any more. */
  ask(question: string, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#fail(new Error('it did not answer in time'))
        this.destroy()
      }
      signal.addEventListener('abort', stop)
      const settled = (): void => signal.removeEventListener('abort', stop)
      this.#open = {
        resolve: (text) => (settled(), resolve(text)),
        reject: (error) => (settled(), reject(error)),
      }
      if (signal.aborted) stop()
      else this.#socket.write(question)
    })
  }

  /** While nobody waits for it, it does not keep the process. */
  rest(): void {
    this.#socket.unref()
  }

  wake(): void {
    this.#socket.ref()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    try {
      const taken = this.#protocol.takeAnswer(this.#received)
      if (taken === undefined) {
        if (this.#received.length > maximumAnswer) throw new Error('its answer is too long')
        return
      }
      if (this.#open === undefined) throw new Error('it said something that was not asked')
      this.#received = this.#received.subarray(taken.length)
      const { resolve } = this.#open
      this.#open = undefined
      resolve(taken.text)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
      this.destroy()
    }
  }

  #fail(error: Error): void {
    const open = this.#open
    this.#open = undefined
    open?.reject(error)
  }
}
