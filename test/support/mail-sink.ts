import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'

import { Changes } from './until.ts'
import { type WireCommand, WireReader } from './wire-reader.ts'

/** A step at which the script is asked; `content` once per message (SMTP) or once per accepted recipient (LMTP). */
export type SinkStage =
  | 'connect'
  | 'helo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'rset'
  | 'quit'

export interface SinkEvent {
  readonly stage: SinkStage
  /** The mailbox of MAIL, RCPT and LMTP content; the rest of the line otherwise. */
  readonly argument: string
  readonly parameters: string
  /** Number of the connection, from 1. */
  readonly connection: number
  readonly secure: boolean
  /** How often this stage and argument came, this time included. */
  readonly count: number
  readonly from: string | undefined
}

/** A whole reply, `450 4.2.0 Greylisted`, lines joined by `\n`; `drop` closes the connection without a word. */
export type SinkAnswer = string

export interface MailSinkOptions {
  readonly protocol?: 'smtp' | 'lmtp'
  readonly host?: string
  readonly port?: number
  /** Listens on a unix socket instead. */
  readonly path?: string
  readonly name?: string
  /** Offered by STARTTLS, or used from the first octet with `implicitTls`. */
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly implicitTls?: boolean
  /** After 220 to STARTTLS the sink closes the connection (`hangup`) or answers the handshake with plain text (`garbage`). */
  readonly brokenTls?: 'hangup' | 'garbage'
  /** EHLO keywords beside STARTTLS. */
  readonly extensions?: readonly string[]
  /** The script; `undefined` means the usual positive answer. A promise delays the reply until it resolves. */
  readonly respond?: (event: SinkEvent) => SinkAnswer | undefined | Promise<SinkAnswer | undefined>
  /** `digest` keeps the SHA-256 of the body, not the content: for storms; `nothing` neither messages nor commands: for sinks without end. */
  readonly keep?: 'content' | 'digest' | 'nothing'
}

export interface SunkMessage {
  readonly connection: number
  readonly secure: boolean
  readonly helo: string
  /** Authentication exchange as sent, `PLAIN ...`, when there was one. */
  readonly auth: string | undefined
  /** Without angle brackets; `''` is the null reverse-path. */
  readonly from: string
  readonly mailParameters: string
  /** Accepted recipients; for LMTP those whose content was answered 2xx. */
  readonly recipients: readonly string[]
  readonly rcptParameters: readonly string[]
  /** Exactly as sent, but for dot-stuffing; empty with `keep: 'digest'`. */
  readonly content: Buffer
  readonly header: string
  readonly sizeBytes: number
  /** Hex SHA-256 of what follows the header section. */
  readonly bodySha256: string
  /** X-Test-Id, else Message-ID. */
  readonly id: string
}

export interface MailSink {
  readonly port: number
  readonly messages: readonly SunkMessage[]
  readonly connections: number
  /** Every command line, `<connection>: <line>`, for assertions on the dialogue. */
  readonly commands: readonly string[]
  /** How many copies of each id arrived. */
  readonly copies: ReadonlyMap<string, number>
  waitForMessages(count: number, timeoutMs?: number): Promise<readonly SunkMessage[]>
  waitForMessage(matches: (message: SunkMessage) => boolean, timeoutMs?: number): Promise<SunkMessage>
  /** Resolves when that many distinct ids arrived. */
  waitForDistinct(count: number, timeoutMs?: number): Promise<void>
  waitForCommand(matches: (command: string) => boolean, timeoutMs?: number): Promise<string>
  stop(): Promise<void>
}

/** A scripted SMTP or LMTP server that takes down exactly what a client did. */
export async function startMailSink(options: MailSinkOptions = {}): Promise<MailSink> {
  const sink = new Sink(options)
  await sink.listen()
  return sink
}

/** A script: the first `times` occurrences of a stage (for one argument, or any) get `answer`. */
export function failFirst(stage: SinkStage, answer: SinkAnswer, times = 1, argument?: string) {
  return (event: SinkEvent): SinkAnswer | undefined =>
    event.stage === stage && (argument === undefined || event.argument === argument) && event.count <= times
      ? answer
      : undefined
}

class Sink implements MailSink {
  readonly options: MailSinkOptions
  readonly messages: SunkMessage[] = []
  readonly commands: string[] = []
  readonly copies = new Map<string, number>()
  readonly changes = new Changes()
  readonly secureContext: SecureContext | undefined
  connections = 0
  port = 0
  readonly #counts = new Map<string, number>()
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((socket) => this.#connected(socket))

  constructor(options: MailSinkOptions) {
    this.options = options
    this.secureContext = options.tls === undefined ? undefined : createSecureContext(options.tls)
  }

  async listen(): Promise<void> {
    const { host = '127.0.0.1', port = 0, path } = this.options
    this.#server.listen(path === undefined ? { host, port } : { path })
    await once(this.#server, 'listening')
    const address = this.#server.address() as AddressInfo | string
    if (typeof address !== 'string') this.port = address.port
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  waitForMessages(count: number, timeoutMs = 120_000): Promise<readonly SunkMessage[]> {
    return this.changes.until(
      timeoutMs,
      () => `${count} messages at the sink; ${this.messages.length} came`,
      () => (this.messages.length >= count ? this.messages : undefined),
    )
  }

  waitForMessage(matches: (message: SunkMessage) => boolean, timeoutMs = 120_000): Promise<SunkMessage> {
    return this.changes.until(
      timeoutMs,
      () => `the awaited message at the sink; ${this.messages.length} others came`,
      () => this.messages.find(matches),
    )
  }

  async waitForDistinct(count: number, timeoutMs = 120_000): Promise<void> {
    await this.changes.until(
      timeoutMs,
      () => `${count} distinct messages at the sink; ${this.copies.size} came`,
      () => (this.copies.size >= count ? true : undefined),
    )
  }

  waitForCommand(matches: (command: string) => boolean, timeoutMs = 120_000): Promise<string> {
    return this.changes.until(
      timeoutMs,
      () => `the awaited command; last ones:\n${this.commands.slice(-20).join('\n')}`,
      () => this.commands.find(matches),
    )
  }

  ask(event: Omit<SinkEvent, 'count'>): SinkAnswer | undefined | Promise<SinkAnswer | undefined> {
    if (this.options.respond === undefined) return undefined
    const key = `${event.stage} ${event.argument}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    return this.options.respond({ ...event, count })
  }

  heard(command: string): void {
    if (this.options.keep === 'nothing') return
    this.commands.push(command)
    this.changes.changed()
  }

  record(message: SunkMessage): void {
    if (this.options.keep === 'nothing') return
    this.messages.push(message)
    this.copies.set(message.id, (this.copies.get(message.id) ?? 0) + 1)
    this.changes.changed()
  }

  #connected(socket: Socket): void {
    this.connections++
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    const session = new Session(this, this.connections, socket)
    session.start()
  }
}

interface Transaction {
  from: string | undefined
  mailParameters: string
  recipients: string[]
  rcptParameters: string[]
}

class Session {
  readonly #sink: Sink
  readonly #number: number
  #socket: Socket
  #secure = false
  #helo = ''
  #auth: string | undefined
  #transaction: Transaction = emptyTransaction()
  #reader: WireReader

  constructor(sink: Sink, number: number, socket: Socket) {
    this.#sink = sink
    this.#number = number
    this.#socket = socket
    this.#reader = new WireReader()
  }

  start(): void {
    if (this.#sink.options.implicitTls === true) {
      this.#secureSocket()
      return
    }
    this.#read()
    void this.#work(() => this.#greet())
  }

  #read(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk)
      if (!this.#busy) void this.#work(() => undefined)
    })
  }

  #busy = false

  /** Handles what came, in order; a delayed answer holds back all that follows, as a real server does. */
  async #work(first: () => void | Promise<void>): Promise<void> {
    this.#busy = true
    try {
      const pending = first()
      if (pending !== undefined) await pending
      for (let command = this.#reader.next(); command !== undefined; command = this.#reader.next()) {
        const handled = this.#handle(command)
        if (handled !== undefined) await handled
      }
    } catch {
      this.#socket.destroy()
    } finally {
      this.#busy = false
    }
  }

  #greet(): Promise<void> {
    return this.#reply('connect', '', '', `220 ${this.#name} ${this.#lmtp ? 'LMTP' : 'ESMTP'} test sink`)
  }

  get #name(): string {
    return this.#sink.options.name ?? 'mx.remote.test'
  }

  get #lmtp(): boolean {
    return this.#sink.options.protocol === 'lmtp'
  }

  #handle(command: WireCommand): Promise<void> | void {
    if (command.kind === 'content') return this.#content(command.content)
    const line = command.line
    this.#sink.heard(`${this.#number}: ${line}`)
    const [verb = '', rest = ''] = splitOnce(line, ' ')
    switch (verb.toUpperCase()) {
      case 'EHLO':
      case 'LHLO':
      case 'HELO':
        this.#helo = rest
        this.#transaction = emptyTransaction()
        return this.#reply('helo', rest, '', verb.toUpperCase() === 'HELO' ? `250 ${this.#name}` : this.#keywords())
      case 'STARTTLS':
        return this.#startTls()
      case 'AUTH':
        this.#auth = rest
        return this.#reply('auth', rest, '', '235 2.7.0 Welcome')
      case 'MAIL':
        return this.#mail(rest)
      case 'RCPT':
        return this.#rcpt(rest)
      case 'DATA':
        return this.#data()
      case 'RSET':
        this.#transaction = emptyTransaction()
        return this.#reply('rset', '', '', '250 2.0.0 Reset')
      case 'NOOP':
        this.#send('250 2.0.0 Ok')
        return undefined
      case 'QUIT':
        return this.#reply('quit', '', '', '221 2.0.0 Bye').then(() => {
          this.#socket.end()
        })
      default:
        this.#send('500 5.5.2 What?')
        return undefined
    }
  }

  #keywords(): string {
    const { extensions = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE 104857600', 'DSN'] } =
      this.#sink.options
    const offered = this.#sink.options.tls !== undefined || this.#sink.options.brokenTls !== undefined
    const all = [this.#name, ...extensions, ...(offered && !this.#secure ? ['STARTTLS'] : [])]
    return all.map((word, index) => `250${index === all.length - 1 ? ' ' : '-'}${word}`).join('\n')
  }

  async #startTls(): Promise<void> {
    const answer = await this.#ask('starttls', '', '')
    if (
      answer !== undefined ||
      (this.#sink.secureContext === undefined && this.#sink.options.brokenTls === undefined)
    ) {
      this.#send(answer ?? '502 5.5.1 No TLS here')
      return
    }
    this.#send('220 2.0.0 Go ahead')
    if (this.#sink.options.brokenTls === 'hangup') this.#socket.destroy()
    else if (this.#sink.options.brokenTls === 'garbage') this.#socket.end('this is no TLS record\r\n')
    else this.#secureSocket()
  }

  #secureSocket(): void {
    this.#socket.removeAllListeners('data')
    const secured = new TLSSocket(this.#socket, { isServer: true, secureContext: this.#sink.secureContext })
    secured.on('error', () => secured.destroy())
    this.#socket = secured
    this.#secure = true
    this.#reader = new WireReader()
    this.#transaction = emptyTransaction()
    this.#read()
    if (this.#sink.options.implicitTls === true) secured.once('secure', () => void this.#work(() => this.#greet()))
  }

  #mail(rest: string): Promise<void> | void {
    const path = parsePath(rest)
    this.#transaction = { ...emptyTransaction(), from: path.mailbox, mailParameters: path.parameters }
    return this.#reply('mail', path.mailbox, path.parameters, '250 2.1.0 Ok', (accepted) => {
      if (!accepted) this.#transaction = emptyTransaction()
    })
  }

  #rcpt(rest: string): Promise<void> | void {
    const path = parsePath(rest)
    if (this.#transaction.from === undefined) return this.#send('503 5.5.1 MAIL first')
    return this.#reply('rcpt', path.mailbox, path.parameters, '250 2.1.5 Ok', (accepted) => {
      if (!accepted) return
      this.#transaction.recipients.push(path.mailbox)
      this.#transaction.rcptParameters.push(path.parameters)
    })
  }

  #data(): Promise<void> | void {
    if (this.#transaction.recipients.length === 0) return this.#send('503 5.5.1 No valid recipients')
    return this.#reply('data', '', '', '354 End with a dot', (_accepted, answer) => {
      if (answer.startsWith('354')) this.#reader.expectContent()
    })
  }

  async #content(content: Buffer): Promise<void> {
    const transaction = this.#transaction
    if (!this.#lmtp) {
      await this.#reply('content', transaction.recipients[0] ?? '', '', '250 2.0.0 Taken', (accepted) => {
        if (accepted) this.#record(transaction, content, transaction.recipients)
      })
      this.#transaction = emptyTransaction()
      return
    }
    const taken: string[] = []
    const answers: string[] = []
    for (const recipient of transaction.recipients) {
      const scripted = this.#ask('content', recipient, '')
      const answer = (scripted instanceof Promise ? await scripted : scripted) ?? '250 2.0.0 Taken'
      if (answer === 'drop') {
        this.#socket.destroy()
        return
      }
      if (answer.startsWith('2')) taken.push(recipient)
      answers.push(answer)
    }
    if (taken.length > 0) this.#record(transaction, content, taken)
    this.#transaction = emptyTransaction()
    this.#send(answers.join('\n'))
  }

  #record(transaction: Transaction, content: Buffer, recipients: readonly string[]): void {
    const end = headerEnd(content)
    const header = content.subarray(0, end).toString('latin1')
    this.#sink.record({
      connection: this.#number,
      secure: this.#secure,
      helo: this.#helo,
      auth: this.#auth,
      from: transaction.from ?? '',
      mailParameters: transaction.mailParameters,
      recipients,
      rcptParameters: transaction.rcptParameters,
      content: this.#sink.options.keep === 'digest' ? Buffer.alloc(0) : content,
      header,
      sizeBytes: content.length,
      bodySha256: createHash('sha256').update(content.subarray(end)).digest('hex'),
      id: (/^x-test-id:\s*(\S+)/im.exec(header) ?? /^message-id:\s*(\S+)/im.exec(header))?.[1] ?? '',
    })
  }

  #ask(stage: SinkStage, argument: string, parameters: string) {
    return this.#sink.ask({
      stage,
      argument,
      parameters,
      connection: this.#number,
      secure: this.#secure,
      from: this.#transaction.from,
    })
  }

  /** Asks the script, tells what was decided, then answers: the record exists before the client can know. */
  async #reply(
    stage: SinkStage,
    argument: string,
    parameters: string,
    usual: string,
    decided?: (accepted: boolean, answer: string) => void,
  ): Promise<void> {
    const scripted = this.#ask(stage, argument, parameters)
    const answer = (scripted instanceof Promise ? await scripted : scripted) ?? usual
    if (answer === 'drop') {
      this.#socket.destroy()
      return
    }
    decided?.(/^[23]/.test(answer), answer)
    this.#send(answer)
    if (answer.startsWith('421')) this.#socket.end()
  }

  #send(answer: string): void {
    if (this.#socket.writable) this.#socket.write(`${answer.replaceAll('\n', '\r\n')}\r\n`)
  }
}

function emptyTransaction(): Transaction {
  return { from: undefined, mailParameters: '', recipients: [], rcptParameters: [] }
}

/** `FROM:<a@b> SIZE=1` without the keyword, leniently: it is the client that is under test. */
function parsePath(text: string): { readonly mailbox: string; readonly parameters: string } {
  const match = /^(?:FROM|TO):\s*<((?:"(?:[^"\\]|\\.)*"|[^>])*)>\s*(.*)$/i.exec(text)
  return { mailbox: match?.[1] ?? text, parameters: match?.[2] ?? '' }
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function headerEnd(content: Buffer): number {
  const at = content.indexOf('\r\n\r\n')
  return at < 0 ? content.length : at + 4
}
