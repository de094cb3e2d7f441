import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'

import { Changes } from './until.ts'

export interface ClientReply {
  readonly code: number
  /** Text of each line, without code and separator. */
  readonly lines: readonly string[]
  /** As on the wire, lines joined by LF. */
  readonly raw: string
}

export interface ClientOptions {
  readonly port: number
  readonly host?: string
  readonly implicitTls?: boolean
  /** Sent before anything else, the TLS handshake included. */
  readonly preamble?: Buffer
  /** Shown in the handshake when the server asks for one. */
  readonly certificate?: { readonly cert: Buffer; readonly key: Buffer }
  readonly timeoutMs?: number
}

/**
 * An SMTP client that does what it is told, also what no client should: `write` puts any octets on the wire. Nothing is
 * checked but that replies are replies; certificates are not looked at.
 */
export class SmtpClient {
  #socket: Socket
  readonly #timeoutMs: number
  readonly #certificate: ClientOptions['certificate']
  readonly #changes = new Changes()
  #input = ''
  #closed = false

  private constructor(socket: Socket, { timeoutMs = 120_000, certificate }: ClientOptions) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
    this.#certificate = certificate
    this.#listen()
  }

  /** Connected, greeting not read yet. */
  static async connect(options: ClientOptions): Promise<SmtpClient> {
    const target = { host: options.host ?? '127.0.0.1', port: options.port }
    const secure = options.implicitTls === true
    const plainSocket = connectTcp(target)
    await once(plainSocket, 'connect')
    if (options.preamble !== undefined) plainSocket.write(options.preamble)
    const socket = secure
      ? connectTls({ socket: plainSocket, rejectUnauthorized: false, ...options.certificate })
      : plainSocket
    if (secure) await once(socket, 'secureConnect')
    socket.setNoDelay(true)
    return new SmtpClient(socket, options)
  }

  /** Connected, greeted, EHLO done; STARTTLS and AUTH PLAIN when asked for. @throws Error at any refusal. */
  static async ready(
    options: ClientOptions & {
      readonly starttls?: boolean
      readonly user?: string
      readonly password?: string
      readonly helo?: string
    },
  ): Promise<SmtpClient> {
    const client = await SmtpClient.connect(options)
    try {
      const helo = options.helo ?? 'client.test'
      expectCode(await client.reply(), 220)
      expectCode(await client.command(`EHLO ${helo}`), 250)
      if (options.starttls === true) {
        await client.startTls()
        expectCode(await client.command(`EHLO ${helo}`), 250)
      }
      if (options.user !== undefined) {
        expectCode(await client.command(`AUTH PLAIN ${plain(options.user, options.password ?? '')}`), 235)
      }
      return client
    } catch (error) {
      client.destroy()
      throw error
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  write(octets: string | Buffer): void {
    this.#socket.write(typeof octets === 'string' ? Buffer.from(octets, 'utf8') : octets)
  }

  /** The next whole reply. @throws Error when the server closes instead. */
  reply(): Promise<ClientReply> {
    return this.#changes.until(
      this.#timeoutMs,
      () => `a reply; got ${JSON.stringify(this.#input)}`,
      () => {
        const reply = this.#takeReply()
        if (reply === undefined && this.#closed) throw new Error('the server closed the connection')
        return reply
      },
    )
  }

  async command(line: string): Promise<ClientReply> {
    this.write(`${line}\r\n`)
    return this.reply()
  }

  /** Resolves when the server has closed; what it said before is still readable. */
  async waitForClose(): Promise<void> {
    await this.#changes.until(this.#timeoutMs, 'the server to close', () => (this.#closed ? true : undefined))
  }

  async startTls(): Promise<void> {
    expectCode(await this.command('STARTTLS'), 220)
    await this.handshake()
  }

  /** The TLS handshake alone, for after a STARTTLS that was written by hand. */
  async handshake(): Promise<void> {
    this.#socket.removeAllListeners('data')
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false, ...this.#certificate })
    await once(secured, 'secureConnect')
    this.#socket = secured
    this.#listen()
  }

  get secure(): boolean {
    return this.#socket instanceof TLSSocket
  }

  /** One transaction; the reply that ended it: that of the final dot, or the first refusal. */
  async send(message: {
    readonly from: string
    readonly to: readonly string[]
    readonly content: string | Buffer
    readonly parameters?: string
  }): Promise<ClientReply> {
    const mail = await this.command(`MAIL FROM:<${message.from}>${message.parameters ?? ''}`)
    if (mail.code !== 250) return mail
    for (const recipient of message.to) {
      const rcpt = await this.command(`RCPT TO:<${recipient}>`)
      if (rcpt.code !== 250) return rcpt
    }
    const data = await this.command('DATA')
    if (data.code !== 354) return data
    this.write(Buffer.concat([stuff(message.content), Buffer.from('.\r\n')]))
    return this.reply()
  }

  async quit(): Promise<void> {
    if (!this.#closed) this.write('QUIT\r\n')
    await this.waitForClose()
    this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** RST: nobody is there any more, for replies neither. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => {
      this.#input += chunk.toString('utf8')
      this.#changes.changed()
    })
    const closed = () => {
      if (socket !== this.#socket) return
      this.#closed = true
      this.#changes.changed()
    }
    socket.on('error', closed)
    socket.on('end', closed)
    socket.on('close', closed)
  }

  #takeReply(): ClientReply | undefined {
    const match = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n/.exec(this.#input)
    if (match === null) return undefined
    this.#input = this.#input.slice(match[0].length)
    const rows = match[0].trimEnd().split(/\r?\n/)
    return { code: Number(match[1]), lines: rows.map((row) => row.slice(4)), raw: rows.join('\n') }
  }
}

/** The initial response of AUTH PLAIN (RFC 4616). */
export function plain(user: string, password: string): string {
  return Buffer.from(`\0${user}\0${password}`).toString('base64')
}

export function expectCode(reply: ClientReply, code: number): ClientReply {
  if (reply.code !== code) throw new Error(`expected ${code}, the server said: ${reply.raw}`)
  return reply
}

function stuff(content: string | Buffer): Buffer {
  const text = typeof content === 'string' ? Buffer.from(content, 'utf8') : content
  const whole = text.subarray(-2).toString() === '\r\n' ? text : Buffer.concat([text, Buffer.from('\r\n')])
  return Buffer.from(whole.toString('latin1').replaceAll(/(^|\r\n)\./g, '$1..'), 'latin1')
}
