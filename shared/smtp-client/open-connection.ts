import type { NetConnectOpts, Socket } from 'node:net'
import { connect, isIP } from 'node:net'
import type { ConnectionOptions, SecureContext, SecureVersion } from 'node:tls'

import type { Reply } from '../mail/reply.ts'
import { formatReply, isPermanent, isPositive } from '../mail/reply.ts'
import { authenticate } from './authenticate.ts'
import type { Credentials } from './authenticate.ts'
import type { Capabilities } from './capabilities.ts'
import { noCapabilities, parseCapabilities } from './capabilities.ts'
import { Channel } from './channel.ts'
import { lostReply, OpenError } from './client-error.ts'
import type { OpeningPhase } from './client-error.ts'
import { commandLine } from './commands.ts'
import { SmtpConnection } from './connection.ts'
import { daneTrouble } from './dane.ts'
import type { DaneDemand } from './dane.ts'
import { SmtpTalk } from '../smtp-talk.ts'
import { inSpan } from '../tracing/span.ts'
import type { Span } from '../tracing/span.ts'
import { endpointAttributes, tlsAttributes } from './client-spans.ts'
import type { SmtpTimeouts } from './timeouts.ts'
import { rfcTimeouts } from './timeouts.ts'
import { tlsSessionOf } from './tls-session.ts'
import type { TlsSession } from './tls-session.ts'

/** Where a server listens. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tcp'
      /** Name for certificates, logs and replies. */
      readonly host: string
      /** Address to connect to; `host` is looked up by the system when it is absent. */
      readonly address?: string
      readonly port: number
      /** Our own address to connect from. */
      readonly localAddress?: string
    }

/**
 * `opportunistic`: STARTTLS when offered, the certificate is not looked at, and a broken handshake means plain text.
 * `required`: STARTTLS or nothing. `implicit`: TLS from the first octet (RFC 8314 §3.3).
 */
export interface TlsPolicy {
  readonly mode: 'none' | 'opportunistic' | 'required' | 'implicit'
  /** The certificate must be valid and carry the host's name; only for `required` and `implicit`. */
  readonly verify: boolean
  /** What its certificate must be by the domain's TLSA records; in place of `verify`, for `required`. */
  readonly dane?: DaneDemand
  readonly minVersion?: SecureVersion
  readonly maxVersion?: SecureVersion
  /** In OpenSSL's notation. */
  readonly ciphers?: string
  /** PEM: trusted roots instead of the system's, and our own certificate. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** What the settings above come to, made ready; absent: made for the connection. */
  readonly secureContext?: SecureContext
}

export const plainText: TlsPolicy = { mode: 'none', verify: false }

export interface OpenOptions {
  readonly endpoint: Endpoint
  readonly protocol: 'smtp' | 'lmtp'
  /** What we call ourselves. */
  readonly helo: string
  readonly tls: TlsPolicy
  readonly credentials?: Credentials
  readonly timeouts?: Partial<SmtpTimeouts>
  readonly signal?: AbortSignal
  /** Told of each session that came as far as TLS and wanted it; must not throw. */
  readonly onTls?: (outcome: TlsOutcome) => void
  /** Connecting is told below it; absent: nobody wants to know. */
  readonly span?: Span | undefined
  /** Takes down what both sides say. */
  readonly talk?: boolean
}

/** What came of TLS. `plain`: the server does not offer STARTTLS, or refuses it. */
export type TlsOutcome = (
  | { readonly kind: 'secured'; readonly session: TlsSession }
  | { readonly kind: 'plain' }
  | { readonly kind: 'failed'; readonly error: Error }
) &
  Addresses

/** Of both ends. */
interface Addresses {
  readonly localAddress?: string
  readonly remoteAddress?: string
}

/**
 * Connects, reads the greeting, says EHLO, goes over to TLS and authenticates as the options ask.
 * @throws OpenError with the server's words, or a temporary reply of ours
 */
export async function openConnection(options: OpenOptions): Promise<SmtpConnection> {
  try {
    return await open(options)
  } catch (error) {
    if (!(error instanceof OpenError) || error.phase !== 'tls' || options.tls.mode !== 'opportunistic') throw error
    // A half-done handshake leaves the connection unusable: once more, without TLS (RFC 7435 §3).
    return await open({ ...options, tls: plainText })
  }
}

/** How the server is called in replies and logs: `mx.example.org[192.0.2.1]:25`, or the socket's path. */
export function peerName(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return endpoint.path
  const { host, address, port } = endpoint
  return address === undefined || address === host ? `[${host}]:${port}` : `${host}[${address}]:${port}`
}

async function open(options: OpenOptions): Promise<SmtpConnection> {
  const timeouts = { ...rfcTimeouts, ...options.timeouts }
  const peer = peerName(options.endpoint)
  const attributes = endpointAttributes(options.endpoint)
  const socket = await inSpan(options.span, 'connect', { kind: 'client', attributes }, () =>
    openSocket(options.endpoint, peer, timeouts.connectMs, options.signal),
  )
  const addresses = addressesOf(socket)
  const channel = new Channel(socket, peer)
  if (options.talk === true) channel.talk = new SmtpTalk()
  const stop = (): void => channel.lose(lostReply(`stopped before ${peer} was ready`))
  options.signal?.addEventListener('abort', stop, { once: true })
  try {
    const session = await startSession(channel, options, timeouts)
    tellSession(options, session, addresses)
    return new SmtpConnection(channel, { ...session, protocol: options.protocol, timeouts })
  } catch (error) {
    if (channel.isOpen) void channel.quit(timeouts.quitMs)
    tellFailure(options, error, addresses)
    throw error
  } finally {
    options.signal?.removeEventListener('abort', stop)
  }
}

function tellSession({ tls, onTls }: OpenOptions, session: Session, addresses: Addresses): void {
  if (tls.mode === 'none') return
  onTls?.(
    session.tls === undefined
      ? { kind: 'plain', ...addresses }
      : { kind: 'secured', session: session.tls, ...addresses },
  )
}

function tellFailure({ onTls, signal }: OpenOptions, error: unknown, addresses: Addresses): void {
  if (!(error instanceof OpenError) || error.phase !== 'tls' || signal?.aborted === true) return
  const isRefused = error.reply.enhanced === noTls
  const cause = error.cause instanceof Error ? error.cause : error
  onTls?.(isRefused ? { kind: 'plain', ...addresses } : { kind: 'failed', error: cause, ...addresses })
}

function addressesOf({ localAddress, remoteAddress }: Socket): Addresses {
  return {
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
  }
}

interface Session {
  readonly capabilities: Capabilities
  /** Absent: plain text. */
  readonly tls?: TlsSession
}

async function startSession(channel: Channel, options: OpenOptions, timeouts: SmtpTimeouts): Promise<Session> {
  const { tls, span } = options
  let secured = tls.mode === 'implicit' ? await secure(channel, options, timeouts) : undefined
  const greeting = await inSpan(span, 'greeting', { kind: 'client' }, () =>
    single(channel.expect(1, timeouts.greetingMs, 'waiting for the greeting'), 'greeting'),
  )
  if (!isPositive(greeting)) throw new OpenError('greeting', said(channel, 'greeted with', greeting))
  let capabilities = await sayHello(channel, options, timeouts)
  if (tls.mode === 'required' || (tls.mode === 'opportunistic' && capabilities.startTls)) {
    secured = await startTls(channel, options, capabilities, timeouts)
    // What was said in plain text no longer counts (RFC 3207 §4.2).
    if (secured !== undefined) capabilities = await sayHello(channel, options, timeouts)
  }
  if (options.credentials !== undefined) {
    if (secured === undefined) throw new OpenError('auth', notNow('4.7.4', `${channel.peer}: no password without TLS`))
    const { credentials } = options
    await inSpan(span, 'AUTH', { kind: 'client' }, () => authenticate(channel, credentials, capabilities, timeouts))
  }
  return { capabilities, ...(secured === undefined ? {} : { tls: secured }) }
}

function sayHello(channel: Channel, options: OpenOptions, timeouts: SmtpTimeouts): Promise<Capabilities> {
  const verb = options.protocol === 'lmtp' ? 'LHLO' : 'EHLO'
  return inSpan(options.span, verb, { kind: 'client' }, () => exchangeHello(channel, options, timeouts))
}

async function exchangeHello(channel: Channel, options: OpenOptions, timeouts: SmtpTimeouts): Promise<Capabilities> {
  const say = (verb: string): Promise<Reply> =>
    single(channel.exchange(commandLine(`${verb} ${options.helo}`), 1, timeouts.helloMs, `sending ${verb}`), 'hello')
  const reply = await say(options.protocol === 'lmtp' ? 'LHLO' : 'EHLO')
  if (isPositive(reply)) return parseCapabilities(reply)
  if (options.protocol === 'lmtp' || !isPermanent(reply))
    throw new OpenError('hello', said(channel, 'refused our hello:', reply))
  const second = await say('HELO')
  if (!isPositive(second)) throw new OpenError('hello', said(channel, 'refused our hello:', second))
  return noCapabilities
}

/** The server does not do TLS. */
const noTls = '4.7.4'

/** @returns nothing when TLS is not to be had and not demanded */
async function startTls(
  channel: Channel,
  options: OpenOptions,
  capabilities: Capabilities,
  timeouts: SmtpTimeouts,
): Promise<TlsSession | undefined> {
  if (!capabilities.startTls) throw new OpenError('tls', notNow(noTls, `${channel.peer} does not offer STARTTLS`))
  const reply = await single(channel.startTls(timeouts.helloMs), 'tls')
  if (reply.code !== 220) {
    channel.stayPlain()
    if (options.tls.mode === 'opportunistic') return undefined
    throw new OpenError('tls', notNow(noTls, `${channel.peer} refused STARTTLS: ${formatReply(reply)}`))
  }
  return secure(channel, options, timeouts)
}

function secure(channel: Channel, { tls, endpoint, span }: OpenOptions, timeouts: SmtpTimeouts): Promise<TlsSession> {
  return inSpan(span, 'TLS', { kind: 'client' }, async (within) => {
    const session = await shakeHands(channel, tls, endpoint, timeouts)
    channel.talk?.both(`TLS: ${session.version} ${session.cipher}`)
    within?.set(tlsAttributes(session))
    return session
  })
}

async function shakeHands(
  channel: Channel,
  tls: TlsPolicy,
  endpoint: Endpoint,
  timeouts: SmtpTimeouts,
): Promise<TlsSession> {
  const host = tls.dane?.names[0] ?? (endpoint.kind === 'tcp' ? endpoint.host : 'localhost')
  const options: ConnectionOptions = {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    ...(tls.maxVersion === undefined ? {} : { maxVersion: tls.maxVersion }),
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
    rejectUnauthorized: tls.verify && tls.mode !== 'opportunistic',
    ...(tls.secureContext === undefined ? {} : { secureContext: tls.secureContext }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  }
  try {
    const socket = await channel.secure(options, Math.min(timeouts.helloMs, 60_000))
    const trouble = tls.dane === undefined ? undefined : daneTrouble(socket, tls.dane, Date.now())
    if (trouble !== undefined) throw trouble
    return tlsSessionOf(socket, tls.dane !== undefined)
  } catch (error) {
    throw new OpenError('tls', notNow('4.7.5', `TLS with ${channel.peer} failed: ${(error as Error).message}`), {
      cause: error,
    })
  }
}

function openSocket(endpoint: Endpoint, peer: string, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketOptions(endpoint))
    const fail = (why: string, cause?: Error): void => {
      stop()
      socket.on('error', () => {})
      socket.destroy()
      reject(new OpenError('connect', lostReply(`cannot connect to ${peer}: ${why}`, '4.4.1'), { cause }))
    }
    const timer = setTimeout(() => fail('timed out'), timeoutMs)
    const onError = (error: NodeJS.ErrnoException): void => fail(connectTrouble(error), error)
    const onAbort = (): void => fail('stopped')
    const onConnect = (): void => {
      stop()
      resolve(socket)
    }
    const stop = (): void => {
      clearTimeout(timer)
      socket.off('connect', onConnect).off('error', onError)
      signal?.removeEventListener('abort', onAbort)
    }
    socket.on('connect', onConnect).on('error', onError)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
  })
}

function socketOptions(endpoint: Endpoint): NetConnectOpts {
  if (endpoint.kind === 'unix') return { path: endpoint.path }
  const { host, address = host, port, localAddress } = endpoint
  return { host: address, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) }
}

function connectTrouble(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'no route'
    case 'ENOENT':
      return 'no such socket'
    case 'EACCES':
      return 'permission denied'
    case 'ETIMEDOUT':
      return 'timed out'
    case 'EADDRNOTAVAIL':
      return 'our source address is not available'
    case undefined:
      return error.message
  }
  return error.code
}

async function single(answers: ReturnType<Channel['expect']>, phase: OpeningPhase): Promise<Reply> {
  const { replies, lost } = await answers
  const reply = replies[0]
  if (reply !== undefined) return reply
  throw new OpenError(phase, lost ?? lostReply('no reply'))
}

/** The server's reply, its text introduced by what it answered to. */
function said(channel: Channel, introduction: string, reply: Reply): Reply {
  return { ...reply, text: `${channel.peer} ${introduction} ${formatReply(reply)}` }
}

/** A local refusal to go on that a change on either side can mend: temporary (RFC 8689 §4.2.1 uses the same codes). */
function notNow(enhanced: string, text: string): Reply {
  return { code: 451, enhanced, text }
}
