import { setTimeout as sleep } from 'node:timers/promises'

import type { SmtpConnection } from './connection.ts'
import type { TlsSession } from './tls-session.ts'
import type { Transaction, TransactionResult } from './transaction.ts'

/** When a connection is closed, and how fast it is used. */
export interface SessionLimits {
  /** Messages after which a connection is closed. */
  readonly maxMessages: number
  /** Refused recipients after which a connection is closed. */
  readonly maxFailures: number
  /** From the end of a message to the next one. */
  readonly pauseMs: number
  readonly idleMs: number
}

export interface PoolOptions extends SessionLimits {
  /** Connections to one destination at a time, idle ones included. */
  readonly maxPerKey: number
  /** Idle connections over all destinations; the one idle for longest gives way. */
  readonly maxIdle: number
}

export const poolDefaults: PoolOptions = {
  maxPerKey: 20,
  maxMessages: 100,
  maxFailures: 25,
  pauseMs: 0,
  idleMs: 10_000,
  maxIdle: 200,
}

/**
 * `connect` throws it when a limit of ours forbids a connection at this moment: says nothing about the server. Idle connections of
 * `crowdedBy`, keys of the pool, are closed to make room.
 */
export class NoConnectionNow extends Error {
  override readonly name = 'NoConnectionNow'
  readonly retryInMs: number
  readonly crowdedBy: ReadonlySet<string>

  constructor(why: string, { retryInMs, crowdedBy }: { retryInMs: number; crowdedBy?: ReadonlySet<string> }) {
    super(why)
    this.retryInMs = retryInMs
    this.crowdedBy = crowdedBy ?? new Set()
  }
}

export type Connect = (signal: AbortSignal) => Promise<SmtpConnection>

export interface PooledResult extends TransactionResult {
  readonly peer: string
  /** Of the connection; absent: plain text. */
  readonly tls?: TlsSession
  /** Plain text, although the server offered STARTTLS: we do not want it here, or the handshake broke. */
  readonly tlsUnused?: true
}

/**
 * Keeps connections per destination and uses them again (RFC 5321 §3.8 leaves that to the client). Those that wait for a
 * connection are served in the order they came.
 */
export class ConnectionPool {
  readonly #options: PoolOptions
  readonly #destinations = new Map<string, Destination>()
  /** Idle connections, the one that waits longest first. */
  readonly #idle = new Map<SmtpConnection, Idle>()
  readonly #closing = new Set<Promise<void>>()
  #closed = false

  constructor(options: Partial<PoolOptions> = {}) {
    this.#options = { ...poolDefaults, ...options }
  }

  /** Connections that exist now, idle ones included. */
  get size(): number {
    let count = 0
    for (const destination of this.#destinations.values()) count += destination.busy
    return count + this.#idle.size
  }

  /**
   * Sends a message over a kept connection or a new one. A kept connection that turns out to be gone before any content
   * was sent is replaced: the peer may have closed it at any time.
   * @throws what `connect` throws, what reading the content throws, and the signal's reason while waiting
   */
  async send(
    key: string,
    connect: Connect,
    transaction: Transaction,
    signal: AbortSignal,
    session: SessionLimits = this.#options,
  ): Promise<PooledResult> {
    for (;;) {
      const connection = await this.#acquire(key, connect, signal)
      const reused = connection.sentCount > 0
      let result: TransactionResult
      try {
        if (reused && session.pauseMs > 0) await pause(connection.sentAt + session.pauseMs - Date.now(), signal)
        result = await connection.send(transaction, signal)
      } finally {
        this.#release(key, connection, session)
      }
      if (!result.untouched || !reused || signal.aborted) return { ...result, ...connectionOf(connection) }
    }
  }

  /** Closes what is idle with QUIT, and what is in use once it is given back. */
  async close(): Promise<void> {
    this.#closed = true
    for (const connection of this.#idle.keys()) this.#retire(connection)
    while (this.#closing.size > 0) await Promise.all(this.#closing)
  }

  async #acquire(key: string, connect: Connect, signal: AbortSignal): Promise<SmtpConnection> {
    signal.throwIfAborted()
    const destination = this.#destination(key)
    const kept = this.#takeIdle(destination)
    if (kept !== undefined) return kept
    if (destination.busy >= Math.min(this.#options.maxPerKey, destination.limit)) {
      const handed = await waitInTurn(destination, signal)
      if (handed !== undefined) return handed
    } else {
      destination.busy += 1
    }
    return this.#open(key, destination, connect, signal)
  }

  /** `busy` counts the connection already. */
  async #open(key: string, destination: Destination, connect: Connect, signal: AbortSignal): Promise<SmtpConnection> {
    destination.connecting += 1
    try {
      return await connect(signal)
    } catch (error) {
      const established = destination.busy - destination.connecting
      if (established === 0 || signal.aborted) {
        if (error instanceof NoConnectionNow) this.#makeRoom(error.crowdedBy)
        this.#passOn(key, destination, undefined)
        throw error
      }
      if (error instanceof NoConnectionNow) {
        destination.busy -= 1
        const handed = await waitInTurn(destination, signal)
        return handed ?? (await this.#open(key, destination, connect, signal))
      }
      // The server takes no more connections, but those we have work: fewer from now on, and a place in the line.
      destination.limit = established
      destination.busy -= 1
    } finally {
      destination.connecting -= 1
    }
    return this.#acquire(key, connect, signal)
  }

  #release(key: string, connection: SmtpConnection, session: SessionLimits): void {
    const destination = this.#destination(key)
    destination.idleMs = session.idleMs
    const used = connection.sentCount >= session.maxMessages || connection.failedCount >= session.maxFailures
    const fit = connection.isOpen && !used && !this.#closed
    if (!fit) this.#dismiss(connection)
    this.#passOn(key, destination, fit ? connection : undefined)
  }

  #makeRoom(keys: ReadonlySet<string>): void {
    for (const [connection, { key }] of this.#idle) if (keys.has(key)) this.#retire(connection)
  }

  /** Gives a connection, or the right to make one, to the next in line. */
  #passOn(key: string, destination: Destination, connection: SmtpConnection | undefined): void {
    const next = destination.waiting.shift()
    if (next !== undefined) return next(connection)
    destination.busy -= 1
    if (connection !== undefined) this.#keep(key, destination, connection)
    this.#forgetUnused(key, destination)
  }

  #keep(key: string, destination: Destination, connection: SmtpConnection): void {
    const timer = setTimeout(() => this.#retire(connection), destination.idleMs)
    timer.unref()
    this.#idle.set(connection, { key, timer })
    destination.idle.push(connection)
    connection.onLost = () => this.#forgetIdle(connection)
    if (this.#idle.size <= this.#options.maxIdle) return
    for (const oldest of this.#idle.keys()) return this.#retire(oldest)
  }

  #takeIdle(destination: Destination): SmtpConnection | undefined {
    // The one used last is the one least likely to have been closed by the peer.
    const connection = destination.idle.at(-1)
    if (connection === undefined) return undefined
    destination.busy += 1
    this.#forgetIdle(connection)
    return connection
  }

  #retire(connection: SmtpConnection): void {
    this.#forgetIdle(connection)
    this.#dismiss(connection)
  }

  #dismiss(connection: SmtpConnection): void {
    const closing = connection.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #forgetIdle(connection: SmtpConnection): void {
    const idle = this.#idle.get(connection)
    if (idle === undefined) return
    clearTimeout(idle.timer)
    this.#idle.delete(connection)
    const destination = this.#destination(idle.key)
    destination.idle = destination.idle.filter((other) => other !== connection)
    this.#forgetUnused(idle.key, destination)
  }

  #destination(key: string): Destination {
    const known = this.#destinations.get(key)
    if (known !== undefined) return known
    const { idleMs } = this.#options
    const limit = Number.POSITIVE_INFINITY
    const created: Destination = { busy: 0, connecting: 0, limit, idleMs, idle: [], waiting: [] }
    this.#destinations.set(key, created)
    return created
  }

  #forgetUnused(key: string, destination: Destination): void {
    if (destination.busy === 0 && destination.idle.length === 0) this.#destinations.delete(key)
  }
}

/** Over what a message went. */
function connectionOf({ peer, tls, capabilities }: SmtpConnection): Pick<PooledResult, 'peer' | 'tls' | 'tlsUnused'> {
  if (tls !== undefined) return { peer, tls }
  return capabilities.startTls ? { peer, tlsUnused: true } : { peer }
}

interface Destination {
  /** Connections in use or being made. */
  busy: number
  /** Those of `busy` that are being made. */
  connecting: number
  /** What the server was found to take at a time; forgotten when nothing is left to send. */
  limit: number
  /** Of the last message. */
  idleMs: number
  idle: SmtpConnection[]
  /** Those in line, in order; called with a connection, or with nothing: make one. */
  readonly waiting: ((connection: SmtpConnection | undefined) => void)[]
}

interface Idle {
  readonly key: string
  readonly timer: NodeJS.Timeout
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return ms <= 0 ? Promise.resolve() : sleep(ms, undefined, { signal })
}

function waitInTurn(destination: Destination, signal: AbortSignal): Promise<SmtpConnection | undefined> {
  return new Promise((resolve, reject) => {
    const take = (connection: SmtpConnection | undefined): void => {
      signal.removeEventListener('abort', leave)
      resolve(connection)
    }
    const leave = (): void => {
      destination.waiting.splice(destination.waiting.indexOf(take), 1)
      reject(signal.reason as Error)
    }
    destination.waiting.push(take)
    signal.addEventListener('abort', leave, { once: true })
  })
}
