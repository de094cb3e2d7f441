import { isAscii } from '../mail/ascii-domain.ts'
import { formatReply, isPositive, isTemporary } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import type { Capabilities } from './capabilities.ts'
import type { Channel } from './channel.ts'
import { lostReply, shortened } from './client-error.ts'
import { mailCommand, rcptCommand } from './commands.ts'
import type { ForwardPath } from './commands.ts'
import type { SmtpTimeouts } from './timeouts.ts'
import type { TlsSession } from './tls-session.ts'
import { noSmtpUtf8, transact } from './transaction.ts'
import type { Transaction, TransactionResult } from './transaction.ts'

export interface SessionState {
  readonly capabilities: Capabilities
  /** Absent: plain text. */
  readonly tls?: TlsSession
  readonly protocol: 'smtp' | 'lmtp'
  readonly timeouts: SmtpTimeouts
}

/** How long the answer to a message that was sent completely is awaited after we were told to stop. */
const stopGraceMs = 5_000

/** A session with a server that is ready for mail; takes any number of messages, one after the other. */
export class SmtpConnection {
  readonly capabilities: Capabilities
  /** What TLS came to; absent: plain text. */
  readonly tls: TlsSession | undefined
  #channel: Channel
  #session: SessionState
  #needsReset = false
  #sentCount = 0
  #failedCount = 0
  #sentAt = 0

  constructor(channel: Channel, session: SessionState) {
    this.#channel = channel
    this.#session = session
    this.capabilities = session.capabilities
    this.tls = session.tls
  }

  /** TLS is on. */
  get secured(): boolean {
    return this.tls !== undefined
  }

  /** The other side, for replies and logs: `mx.example.org[192.0.2.1]:25`. */
  get peer(): string {
    return this.#channel.peer
  }

  get isOpen(): boolean {
    return this.#channel.isOpen
  }

  /** Messages this connection was used for. */
  get sentCount(): number {
    return this.#sentCount
  }

  /** Recipients it was refused, over all messages. */
  get failedCount(): number {
    return this.#failedCount
  }

  /** Epoch ms of the end of the last message; 0 before the first. */
  get sentAt(): number {
    return this.#sentAt
  }

  /** Called when the connection is gone, at once when it is gone already. */
  onceClosed(notify: () => void): void {
    this.#channel.onceLost(notify)
  }

  /** Called once, when the connection is gone. */
  set onLost(notify: () => void) {
    this.#channel.onLost = notify
  }

  /**
   * Sends one message. Refusals and a lost connection come back as replies; one transaction at a time.
   * When `signal` is aborted the connection ends, but the answer to a message already sent is given a moment to come.
   * @throws what reading the content throws
   */
  async send(transaction: Transaction, signal?: AbortSignal): Promise<TransactionResult> {
    this.#sentCount += 1
    let graceMs = 0
    let timer: NodeJS.Timeout | undefined
    const stop = (): void => {
      timer = setTimeout(() => this.#channel.lose(lostReply(`stopped while sending to ${this.peer}`)), graceMs)
    }
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    try {
      const { needsReset, ...result } = await transact(transaction, {
        ...this.#session,
        channel: this.#channel,
        reset: this.#needsReset,
        onContentSent: () => {
          graceMs = stopGraceMs
        },
      })
      this.#needsReset = needsReset
      this.#failedCount += result.replies.filter((reply) => !isPositive(reply)).length
      const talk = this.#channel.talk?.lines()
      return { ...result, replies: result.replies.map(shortened), ...(talk === undefined ? {} : { talk }) }
    } finally {
      signal?.removeEventListener('abort', stop)
      clearTimeout(timer)
      this.#sentAt = Date.now()
    }
  }

  /**
   * Asks whether mail for this path would be taken, by a transaction that ends there: the reply to RCPT, or the refusal or loss
   * that came before it as a temporary one.
   */
  async verify(path: ForwardPath): Promise<Reply> {
    const smtpUtf8 = !isAscii(path.address)
    if (smtpUtf8 && !this.capabilities.smtpUtf8) return noSmtpUtf8
    const parameters = { reversePath: null, sizeBytes: 0, eightBit: false, smtpUtf8 }
    const mail = await this.#ask(mailCommand(parameters, { ...this.capabilities, size: false }), 'MAIL')
    if (!isPositive(mail)) return isTemporary(mail) ? mail : { code: 451, enhanced: '4.3.0', text: formatReply(mail) }
    this.#needsReset = true
    return this.#ask(rcptCommand(path, this.capabilities), 'RCPT')
  }

  async #ask(line: string, verb: string): Promise<Reply> {
    const { envelopeMs } = this.#session.timeouts
    const { replies, lost } = await this.#channel.exchange(line, 1, envelopeMs, `sending ${verb}`)
    return shortened(replies[0] ?? lost ?? lostReply('no reply'))
  }

  /** QUIT, and the end. Resolves when the socket is closed. */
  close(): Promise<void> {
    return this.#channel.quit(this.#session.timeouts.quitMs)
  }
}
