import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { TLSSocket, createSecureContext } from 'node:tls'

/** The server's side of one connection in a test: reads lines, answers what the script says. */
export class ScriptedSession {
  socket: Socket
  readonly #onChange: () => void
  #received = ''
  #ended = false
  #wake: (() => void) | undefined

  constructor(socket: Socket, onChange: () => void) {
    this.socket = socket
    this.#onChange = onChange
    this.#listen(socket)
  }

  /** The next command line without its CRLF; `undefined` when the client is gone. */
  async line(): Promise<string | undefined> {
    return this.#take('\r\n')
  }

  /** Content up to the final dot, as it came over the wire (latin1, still dot-stuffed). */
  async content(): Promise<string | undefined> {
    // A lone dot ends an empty message.
    this.#received = `\r\n${this.#received}`
    const content = await this.#take('\r\n.\r\n')
    return content === undefined ? undefined : content.slice(2) + (content === '' ? '' : '\r\n')
  }

  /** What has arrived and was not read yet. */
  get unread(): string {
    return this.#received
  }

  say(...lines: string[]): void {
    if (!this.socket.destroyed) this.socket.write(lines.map((line) => `${line}\r\n`).join(''))
  }

  hangUp(): void {
    this.socket.destroy()
  }

  async startTls(cert: string, key: string): Promise<void> {
    const plain = this.socket
    plain.removeAllListeners('data')
    const secured = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext({ cert, key }) })
    this.socket = secured
    this.#received = ''
    this.#listen(secured)
    await new Promise<void>((resolve) => {
      secured.once('secure', () => resolve()).once('close', () => resolve())
    })
  }

  async #take(end: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#received.indexOf(end)
      if (at >= 0) {
        const text = this.#received.slice(0, at)
        this.#received = this.#received.slice(at + end.length)
        return text
      }
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #listen(socket: Socket): void {
    const changed = (): void => {
      this.#wake?.()
      this.#onChange()
    }
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      changed()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#ended = true
      changed()
    })
  }
}

export interface ScriptedServer {
  readonly port: number
  readonly sessions: readonly ScriptedSession[]
  /** Connections that are open now. */
  readonly open: number
  /** Resolves when no connection is open. */
  whenIdle(): Promise<void>
  close(): Promise<void>
}

/** Listens on a free port of 127.0.0.1, or on a socket path, and runs the script for each connection. */
export async function startServer(
  script: (session: ScriptedSession, index: number) => Promise<void>,
  listen: { readonly path?: string; readonly host?: string; readonly port?: number } = {},
): Promise<ScriptedServer> {
  const sessions: ScriptedSession[] = []
  const open = new Set<Socket>()
  let idle: (() => void)[] = []
  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => {
      open.delete(socket)
      if (open.size > 0) return
      for (const notify of idle) notify()
      idle = []
    })
    const session = new ScriptedSession(socket, () => {})
    sessions.push(session)
    void script(session, sessions.length - 1)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (listen.path === undefined) server.listen(listen.port ?? 0, listen.host ?? '127.0.0.1', resolve)
    else server.listen(listen.path, resolve)
  })
  return {
    port: listen.path === undefined ? (server.address() as AddressInfo).port : 0,
    sessions,
    get open() {
      return open.size
    },
    whenIdle: () =>
      open.size === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            idle.push(resolve)
          }),
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of open) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** A message a polite server took. */
export interface TakenMessage {
  readonly mail: string
  readonly rcpt: readonly string[]
  /** As it came over the wire. */
  readonly content: string
  /** Which connection it came over, counted from 0. */
  readonly connection: number
}

export interface PoliteOptions {
  readonly protocol?: 'smtp' | 'lmtp'
  readonly capabilities?: readonly string[]
  readonly mailReply?: (line: string) => string
  readonly rcptReply?: (line: string) => string
  readonly dataReply?: string
  /** Reply to the final dot; with LMTP asked for each accepted recipient. */
  readonly finalReply?: (recipient: string, index: number) => string
  readonly greeting?: string
  /** PEM: STARTTLS is offered. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** The script of a server that does everything right and records what it was given. */
export function polite(taken: TakenMessage[], options: PoliteOptions = {}) {
  const { protocol = 'smtp', capabilities = ['PIPELINING', '8BITMIME', 'SIZE 50000000'] } = options
  const { rcptReply = () => '250 2.1.5 ok', finalReply = () => '250 2.0.0 queued' } = options
  return async (session: ScriptedSession, connection: number): Promise<void> => {
    session.say(options.greeting ?? '220 test ESMTP')
    let mail = ''
    let rcpt: string[] = []
    for (let line = await session.line(); line !== undefined; line = await session.line()) {
      const verb = line.slice(0, 4).toUpperCase()
      if (verb === 'EHLO' || verb === 'LHLO') {
        const offered = options.tls !== undefined && !(session.socket instanceof TLSSocket)
        session.say(...multiline(['test', ...capabilities, ...(offered ? ['STARTTLS'] : [])]))
      } else if (verb === 'STAR' && options.tls !== undefined) {
        session.say('220 2.0.0 go')
        await session.startTls(options.tls.cert, options.tls.key)
      } else if (verb === 'MAIL') {
        const reply = options.mailReply?.(line) ?? '250 2.1.0 ok'
        mail = reply.startsWith('2') ? line : ''
        rcpt = []
        session.say(reply)
      } else if (verb === 'RCPT') {
        const reply = mail === '' ? '503 5.5.1 MAIL first' : rcptReply(line)
        if (reply.startsWith('2')) rcpt.push(line)
        session.say(reply)
      } else if (verb === 'DATA') {
        if (rcpt.length === 0) {
          session.say('554 5.5.1 no valid recipients')
          continue
        }
        session.say(options.dataReply ?? '354 go on')
        if (options.dataReply !== undefined) continue
        const content = await session.content()
        if (content === undefined) return
        taken.push({ mail, rcpt, content, connection })
        const asked = protocol === 'lmtp' ? rcpt : [rcpt[0] ?? '']
        session.say(...asked.map((recipient, index) => finalReply(recipient, index)))
      } else if (verb === 'RSET') session.say('250 2.0.0 ok')
      else if (verb === 'QUIT') {
        session.say('221 2.0.0 bye')
        session.socket.end()
      } else session.say('502 5.5.1 what?')
    }
  }
}

function multiline(lines: readonly string[]): string[] {
  return lines.map((line, index) => `250${index === lines.length - 1 ? ' ' : '-'}${line}`)
}
