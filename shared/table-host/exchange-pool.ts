import type { SocketPlace } from '../config/model.ts'
import { ConnectionEndedError, ExchangeConnection } from './exchange-connection.ts'
import type { ExchangeProtocol } from './exchange-connection.ts'

export interface ExchangePoolOptions {
  readonly place: SocketPlace
  readonly protocol: ExchangeProtocol
  /** For one answer, with the time to connect and to wait for a connection that is free. */
  readonly timeoutMs: number
  readonly maxConnections?: number
}

interface Waiting {
  readonly take: () => void
}

/**
 * Questions to a server that answers one at a time on each connection: up to `maxConnections` are open, and stay open. A server that
 * closed a connection meanwhile is asked again on a new one.
 */
export class ExchangePool {
  readonly #options: Required<ExchangePoolOptions>
  readonly #all = new Set<ExchangeConnection>()
  readonly #idle: ExchangeConnection[] = []
  readonly #waiting: Waiting[] = []
  readonly #asked = new Set<AbortController>()
  #closed = false
  #busy = 0

  constructor(options: ExchangePoolOptions) {
    this.#options = { maxConnections: 8, ...options }
  }

  /** Rejects when there is no answer in time. */
  async ask(question: string): Promise<string> {
    if (this.#closed) throw new Error('it is closed')
    const asked = new AbortController()
    const timer = setTimeout(() => asked.abort(), this.#options.timeoutMs)
    this.#asked.add(asked)
    try {
      return await this.#askInTurn(question, asked.signal)
    } finally {
      clearTimeout(timer)
      this.#asked.delete(asked)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const asked of this.#asked) asked.abort()
    for (const connection of this.#all) connection.destroy()
  }

  async #askInTurn(question: string, signal: AbortSignal): Promise<string> {
    await this.#turn(signal)
    try {
      return await this.#askOn(this.#idleConnection(), question, signal)
    } finally {
      this.#busy -= 1
      this.#waiting.shift()?.take()
    }
  }

  async #askOn(used: ExchangeConnection | undefined, question: string, signal: AbortSignal): Promise<string> {
    const connection = used ?? this.#connect()
    connection.wake()
    try {
      const answer = await connection.ask(question, signal)
      connection.rest()
      if (connection.alive) this.#idle.push(connection)
      return answer
    } catch (error) {
      connection.destroy()
      if (used === undefined || !(error instanceof ConnectionEndedError)) throw error
      return this.#askOn(undefined, question, signal)
    }
  }

  #idleConnection(): ExchangeConnection | undefined {
    for (let one = this.#idle.pop(); one !== undefined; one = this.#idle.pop()) if (one.alive) return one
    return undefined
  }

  #connect(): ExchangeConnection {
    const { place, protocol } = this.#options
    const connection = new ExchangeConnection(place, protocol, () => this.#all.delete(connection))
    this.#all.add(connection)
    return connection
  }

  /** Resolves when one of the connections may be used. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = {
        take: (): void => {
          signal.removeEventListener('abort', giveUp)
          this.#busy += 1
          resolve()
        },
      }
      const giveUp = (): void => {
        const place = this.#waiting.indexOf(waiting)
        if (place >= 0) this.#waiting.splice(place, 1)
        reject(new Error('no connection was free in time'))
      }
      if (signal.aborted) return giveUp()
      if (this.#busy < this.#options.maxConnections) return waiting.take()
      signal.addEventListener('abort', giveUp)
      this.#waiting.push(waiting)
    })
  }
}
