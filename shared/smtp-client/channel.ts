import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'

import type { Reply } from '../mail/reply.ts'
import { lostReply } from './client-error.ts'
import type { SmtpTalk } from '../smtp-talk.ts'
import { ReplyParser } from './reply-parser.ts'

/** The replies to a group of commands; fewer than asked for when `lost` tells why the connection is gone. */
export interface Answers {
  readonly replies: readonly Reply[]
  readonly lost?: Reply
}

/**
 * Lines out, replies in, over one socket. At most one group of replies is waited for at a time; waiting never rejects,
 * because a lost connection is an expected result.
 */
export class Channel {
  readonly peer: string
  /** Takes down what is said; absent: nobody asks for it. */
  talk: SmtpTalk | undefined
  /** Hears each reply as it comes; absent: nobody does. */
  onReply: ((reply: Reply) => void) | undefined
  #socket: Socket
  readonly #parser = new ReplyParser()
  #expected: Expected | undefined
  #lost: Reply | undefined
  #unasked: Reply | undefined
  #error: Error | undefined
  #deaf = false
  #deadlineAt = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = 0
  #onLost: (() => void) | undefined
  readonly #onceLost: (() => void)[] = []
  #stopListening: () => void

  /** @param peer how the other side is called in replies and logs: `mx.example.org[192.0.2.1]:25` */
  constructor(socket: Socket, peer: string) {
    this.peer = peer
    this.#socket = socket
    this.#stopListening = this.#listen(socket)
  }

  get isOpen(): boolean {
    return this.#lost === undefined
  }

  /** What the peer said when nobody waited for it; the connection ended over that. */
  get unasked(): Reply | undefined {
    return this.#unasked
  }

  /** Called once, when the connection is gone for whatever reason. */
  set onLost(notify: () => void) {
    this.#onLost = notify
  }

  /** The same for those who do not take turns; at once when it is gone already. */
  onceLost(notify: () => void): void {
    if (this.#lost === undefined) this.#onceLost.push(notify)
    else notify()
  }

  /** Sends command lines in one segment and waits for the replies to all of them. */
  exchange(lines: string, count: number, timeoutMs: number, doing: string): Promise<Answers> {
    const answers = this.expect(count, timeoutMs, doing)
    if (this.isOpen) {
      this.#tell(lines)
      this.#socket.write(lines)
    }
    return answers
  }

  /** Waits for the next `count` replies; each may take `timeoutMs`. Call it before the octets that cause them are sent. */
  expect(count: number, timeoutMs: number, doing: string): Promise<Answers> {
    if (this.#lost !== undefined) return Promise.resolve({ replies: [], lost: this.#lost })
    return new Promise((resolve) => {
      this.#expected = { replies: [], count, timeoutMs, doing, thenSilence: false, resolve }
      this.#startClock(timeoutMs)
    })
  }

  /** STARTTLS: whatever comes behind its reply in plain text is dropped (RFC 3207 §6). */
  startTls(timeoutMs: number): Promise<Answers> {
    const answers = this.exchange('STARTTLS\r\n', 1, timeoutMs, 'sending STARTTLS')
    if (this.#expected !== undefined) this.#expected.thenSilence = true
    return answers
  }

  /** After a refused STARTTLS: what the peer says counts again. */
  stayPlain(): void {
    this.#parser.reset()
    this.#deaf = false
  }

  /** Sends octets in one system call where possible; a promise is returned when the caller should wait for the peer. */
  write(pieces: readonly Buffer[], timeoutMs: number): Promise<void> | undefined {
    if (!this.isOpen) return undefined
    let room = true
    this.#socket.cork()
    for (const piece of pieces) room = this.#socket.write(piece)
    this.#socket.uncork()
    return room || !this.isOpen ? undefined : this.#drained(timeoutMs)
  }

  /**
   * Goes over to TLS.
   * @throws Error of the handshake or of the certificate's check; the channel is lost then
   */
  async secure(options: ConnectionOptions, timeoutMs: number): Promise<TLSSocket> {
    this.#stopListening()
    this.#parser.reset()
    this.#deaf = false
    const plain = this.#socket
    const secured = connectTls({ ...options, socket: plain })
    this.#socket = secured
    try {
      await handshake(secured, timeoutMs)
    } catch (error) {
      plain.destroy()
      secured.destroy()
      this.lose(lostReply(`TLS handshake with ${this.peer} failed`))
      throw error
    }
    this.#stopListening = this.#listen(secured)
    return secured
  }

  /** Says QUIT without waiting for the answer's text and closes; resolves when the socket is closed, after `timeoutMs` at most. */
  async quit(timeoutMs: number): Promise<void> {
    const socket = this.#socket
    if (socket.destroyed) return
    this.#startClock(timeoutMs)
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
    })
    this.#expected = {
      replies: [],
      count: 1,
      timeoutMs,
      doing: 'saying goodbye',
      thenSilence: true,
      resolve: () => socket.destroy(),
    }
    socket.end('QUIT\r\n')
    await closed
  }

  /** Ends the connection at once. `why` is what those get who wait for replies. */
  lose(why: Reply): void {
    if (this.#lost !== undefined) return
    this.#lost = why
    clearTimeout(this.#timer)
    this.#socket.destroy()
    const expected = this.#expected
    this.#expected = undefined
    expected?.resolve({ replies: expected.replies, lost: why })
    this.#onLost?.()
    for (const notify of this.#onceLost.splice(0)) notify()
  }

  #listen(socket: Socket): () => void {
    const onData = (chunk: Buffer): void => this.#take(chunk)
    const onError = (error: Error): void => {
      this.#error = error
    }
    const onClose = (): void => this.lose(lostReply(this.#lossText()))
    socket.on('data', onData).on('error', onError).on('close', onClose)
    return () => socket.off('data', onData).off('close', onClose)
  }

  #take(chunk: Buffer): void {
    try {
      for (const reply of this.#parser.push(chunk)) {
        if (this.#deaf || !this.isOpen) return
        this.#answer(reply)
      }
    } catch (error) {
      if (!this.#deaf) this.lose(lostReply(`${this.peer} broke the protocol: ${(error as Error).message}`))
    }
  }

  #tell(lines: string): void {
    if (this.talk === undefined) return
    for (const line of lines.split('\r\n')) if (line !== '') this.talk.client(line, false)
  }

  #answer(reply: Reply): void {
    this.talk?.reply(reply)
    this.onReply?.(reply)
    const expected = this.#expected
    // A reply nobody waits for is a goodbye (421); in any case replies could no longer be told apart.
    if (expected === undefined) {
      this.#unasked ??= reply
      return this.lose({ ...lostReply(''), text: `${this.peer} said: ${reply.text}` })
    }
    expected.replies.push(reply)
    if (expected.replies.length < expected.count) return this.#startClock(expected.timeoutMs)
    this.#expected = undefined
    this.#deaf = expected.thenSilence
    expected.resolve({ replies: expected.replies })
  }

  #drained(timeoutMs: number): Promise<void> {
    const socket = this.#socket
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.lose(lostReply(`${this.peer} takes no more octets`)), timeoutMs)
      const done = (): void => {
        clearTimeout(timer)
        socket.off('drain', done).off('close', done)
        resolve()
      }
      socket.on('drain', done).on('close', done)
    })
  }

  /** One timer for the whole life of the connection: it looks whether the deadline has moved when it fires. */
  #startClock(timeoutMs: number): void {
    this.#deadlineAt = Date.now() + timeoutMs
    if (this.#timer === undefined || this.#deadlineAt < this.#timerAt) this.#setTimer(this.#deadlineAt)
  }

  #setTimer(at: number): void {
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(() => this.#checkDeadline(), Math.max(1, at - Date.now()))
    this.#timer.unref()
  }

  #checkDeadline(): void {
    this.#timer = undefined
    const expected = this.#expected
    if (expected === undefined) return
    if (Date.now() < this.#deadlineAt) return this.#setTimer(this.#deadlineAt)
    this.lose(lostReply(`${this.peer} did not answer in time while ${expected.doing}`))
  }

  #lossText(): string {
    const doing = this.#expected === undefined ? '' : ` while ${this.#expected.doing}`
    const cause =
      this.#error === undefined ? '' : ` (${(this.#error as NodeJS.ErrnoException).code ?? this.#error.message})`
    return `lost connection with ${this.peer}${doing}${cause}`
  }
}

interface Expected {
  readonly replies: Reply[]
  readonly count: number
  readonly timeoutMs: number
  readonly doing: string
  thenSilence: boolean
  readonly resolve: (answers: Answers) => void
}

function handshake(socket: TLSSocket, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error('TLS handshake timed out')), timeoutMs)
    const fail = (error: Error): void => {
      stop()
      reject(error)
    }
    const onClose = (): void => fail(new Error('connection closed during the TLS handshake'))
    const onSecure = (): void => {
      stop()
      resolve()
    }
    const stop = (): void => {
      clearTimeout(timer)
      socket.off('secureConnect', onSecure).off('close', onClose)
    }
    // The error listener stays: a TLS socket may report trouble again after the handshake failed.
    socket.on('secureConnect', onSecure).on('error', fail).on('close', onClose)
  })
}
