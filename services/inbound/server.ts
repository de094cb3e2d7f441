import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'

import { SMTPServer } from 'smtp-server'
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'

import { formatReply } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { Certificates } from './certificates.ts'
import { firstOctet, handshakeOctet } from './first-octet.ts'
import { handshakeFailure } from './handshake-failure.ts'
import { ProxyHeaderError, readProxyHeader } from './proxy-header.ts'
import type { Reception } from './reception.ts'
import { InboundSession } from './session.ts'

type ProxyDone = (error: Error | null, options: SMTPConnectionOptions & { id: string }) => void

/** Why a connection is closed before its session begins, and what is said where a reply can be read. */
const refusals = {
  nowhere: { code: 421, enhanced: '4.3.0', text: 'The connection has no address' },
  'not admitted': { code: 554, enhanced: '5.7.1', text: 'Only this host and its mail network may connect here' },
  malformed: { code: 554, enhanced: '5.5.0', text: 'Malformed PROXY header' },
  'no proxy': { code: 554, enhanced: '5.7.1', text: 'Only trusted proxies may connect here' },
} as const

/** One listening address under one configuration. smtp-server does the TLS handshakes; sessions are ours. */
export class InboundServer extends SMTPServer {
  readonly reception: Reception
  /** No new messages: sessions end after the command in hand. */
  draining = false
  readonly #live = new Set<InboundSession>()
  /** Gives a socket's place in the counter back. */
  readonly #places = new Map<Socket, () => void>()
  readonly #idPrefix = randomBytes(4).toString('hex')
  #count = 0
  #sweep: NodeJS.Timeout | undefined
  readonly #whenEmpty: (() => void)[] = []

  constructor(reception: Reception, certificates: Certificates | undefined) {
    const { listener } = reception
    super({
      name: reception.hostname,
      secure: listener.tls === 'implicit',
      logger: false,
      // AUTH is ours.
      authMethods: [],
      authOptional: true,
      hideENHANCEDSTATUSCODES: false,
      socketTimeout: reception.limits.lineMs,
      noDelay: true,
      ...(listener.tls === 'none' ? { disabledCommands: ['STARTTLS'], hideSTARTTLS: true } : {}),
      ...(certificates === undefined ? {} : { SNICallback: (name, done) => done(null, certificates.contextFor(name)) }),
      ...(reception.asksCertificate ? { requestCert: true, rejectUnauthorized: listener.verifyClient } : {}),
    })
    this.reception = reception
    if (certificates !== undefined) {
      // The default context is asked for at each handshake, so that a renewed certificate counts at once.
      this.secureContext = { get: () => certificates.contextFor('') } as unknown as typeof this.secureContext
    }
  }

  /** Clients that are connected. */
  get clients(): number {
    return this.#places.size
  }

  /** A client that came in by the door. */
  accept(socket: Socket): void {
    this.#sweep ??= setInterval(() => this.#checkTimes(), this.reception.limits.sweepMs).unref()
    const { clientHelloMs } = this.reception
    if (clientHelloMs === undefined) this.server.emit('connection', socket)
    else void this.#acceptEither(socket, clientHelloMs)
  }

  /** Whoever begins with a ClientHello is in TLS from the start; who waits is greeted, for STARTTLS. */
  async #acceptEither(socket: Socket, clientHelloMs: number): Promise<void> {
    const release = this._acceptSocket(socket, false)
    if (release === false) return
    const options = await new Promise<SMTPConnectionOptions | undefined>((resolve) =>
      this._handleProxy(socket, (error, found) => resolve(error === null ? found : undefined)),
    )
    const octet = options === undefined ? undefined : await firstOctet(socket, clientHelloMs)
    if (options === undefined || socket.destroyed) return release()
    if (octet === handshakeOctet) return this.#startTls(socket, options, release)
    release()
    this.connect(socket, options)
  }

  #startTls(socket: Socket, options: SMTPConnectionOptions, release: () => void): void {
    this._upgrade(socket, (error, tlsSocket) => {
      release()
      if (tlsSocket !== undefined && !error) return this.connect(tlsSocket, options)
      socket.destroy()
      this._onError(error ?? new Error('the handshake failed'))
    })
  }

  /** Gets no more clients. Resolves when those it has are gone. */
  async retire(): Promise<void> {
    if (this.#places.size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
    // The sessions' own close events come a turn later; what they had begun is given up by then.
    for (let turn = 0; turn < 100 && this.#live.size > 0; turn += 1) await nextTurn()
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  /** Lets sessions inside DATA finish until `drainMs` is over, ends all others with 421; resolves when the last client is gone. */
  async shut(): Promise<void> {
    this.draining = true
    for (const socket of this._pendingSockets.values()) socket.destroy()
    for (const session of this.#sessions()) session.drain()
    const timer = setTimeout(() => {
      for (const session of this.#live) session.destroy()
    }, this.reception.limits.drainMs)
    await this.retire()
    clearTimeout(timer)
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const session = new InboundSession(this, socket, options)
    this.connections.add(session)
    this.#live.add(session)
    session.init()
  }

  /** Nothing is built from smtp-server's own certificate, whose key is public. */
  override updateSecureContext(): void {
    this.secureContext = new Map()
  }

  /** Errors of single connections must not end the process; those of `listen` reach `open`. */
  override _onError(error: Error): void {
    const { log, name, events } = this.reception
    log.debug({ err: error, listener: name }, 'connection failed')
    const failure = handshakeFailure(error)
    if (failure !== undefined) events.tlsFailed({ session: '-', listener: name, ...failure })
  }

  /** The client is at the socket's address, or with `proxy-v2` where the balancer says. */
  override _handleProxy(socket: Socket, proceed: ProxyDone): void {
    this.#count += 1
    const id = `${this.#idPrefix}${this.#count.toString(36)}`
    if (this.reception.trustsProxy === undefined) return proceed(null, { id })
    void this.#findClient(socket, id).then(
      (options) => proceed(null, options),
      (error: unknown) => {
        this.#turnAway(socket, addressOf(socket), { ...refusals.malformed, text: textOf(error) }, true)
        proceed(error instanceof Error ? error : new ProxyHeaderError('failed'), { id })
      },
    )
  }

  /** Before the handshake of an implicit TLS listener too. */
  override _expectsProxyHeader(): boolean {
    return this.reception.trustsProxy !== undefined
  }

  /** Counts the connection before anything is done for it; behind a balancer as soon as the client's address is known. */
  override _acceptSocket(socket: Socket, handshake: boolean): (() => void) | false {
    const address = addressOf(socket)
    const refusal =
      this.#refusalAt(address) ?? (this._expectsProxyHeader() ? undefined : this.#takePlace(socket, address))
    if (refusal !== undefined) {
      this.#turnAway(socket, address, refusal, handshake)
      return false
    }
    // Where a ClientHello may come, a time limit is due until the session has its own.
    return super._acceptSocket(socket, handshake || this.reception.clientHelloMs !== undefined)
  }

  /** Whose connections are not wanted, whatever they would say. */
  #refusalAt(address = ''): Reply | undefined {
    const { admits, trustsProxy } = this.reception
    if (admits !== undefined && !admits(address)) return refusals['not admitted']
    return trustsProxy === undefined || trustsProxy(address) ? undefined : refusals['no proxy']
  }

  #takePlace(socket: Socket, address: string | undefined): Reply | undefined {
    const place = address === undefined ? refusals.nowhere : this.reception.gate.enter(address)
    if (typeof place !== 'function') return place
    this.#places.set(socket, place)
    socket.once('close', () => this.#leave(socket))
    return undefined
  }

  /** @throws ProxyHeaderError, and when the client has no place left */
  async #findClient(socket: Socket, id: string): Promise<SMTPConnectionOptions & { id: string }> {
    const source = await readProxyHeader(socket, this.reception.limits.proxyHeaderMs)
    const address = source?.address ?? addressOf(socket)
    const refusal = this.#takePlace(socket, address)
    if (refusal !== undefined) throw new ProxyHeaderError(`${refusal.text}: ${address ?? ''}`)
    return source === undefined ? { id } : { id, remoteAddress: source.address, remotePort: source.port }
  }

  /** A client speaks for another one, who takes a place of his own in its stead. */
  exchangePlace(socket: Socket, address: string): (() => void) | Reply {
    const place = this.reception.gate.enter(address)
    if (typeof place === 'function') this.#places.get(socket)?.()
    return place
  }

  /** A session is over. STARTTLS takes our listener off the socket, so the session says so itself. */
  forget(session: InboundSession, socket: Socket): void {
    this.#live.delete(session)
    this.#leave(socket)
  }

  #leave(socket: Socket): void {
    this.#places.get(socket)?.()
    this.#places.delete(socket)
    if (this.#places.size === 0) for (const tell of this.#whenEmpty.splice(0)) tell()
  }

  #turnAway(socket: Socket, address: string | undefined, reply: Reply, silent: boolean): void {
    const { events, name } = this.reception
    events.rejected({ session: '-', listener: name, address: address ?? '-', stage: 'connect', reply })
    socket.on('error', () => undefined)
    if (silent) socket.destroy()
    else socket.end(`${formatReply(reply)}\r\n`, () => socket.destroy())
  }

  #checkTimes(): void {
    const now = this.reception.monotonic()
    for (const session of this.#sessions()) session.checkTime(now)
  }

  #sessions(): InboundSession[] {
    return [...this.connections] as InboundSession[]
  }
}

/** Without the prefix that an IPv4 client has on an IPv6 socket. */
function addressOf({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '')
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
