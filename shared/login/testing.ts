import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

import type { SocketPlace } from '../config/model.ts'

/** An auth service as Dovecot's, scripted. */
export interface TestAuthService {
  readonly place: SocketPlace
  /** All lines that came in, of all connections. */
  readonly lines: readonly string[]
  readonly connections: () => number
  /** Closes every connection, and listens on. */
  drop(): void
  /** Resolves when nobody is connected any more. */
  empty(): Promise<void>
  close(): Promise<void>
  /** Listens again where it listened before. */
  reopen(): Promise<void>
}

export interface TestAuthServiceOptions {
  readonly handshake?: string
  /** Of a unix socket to listen on; absent: a free port. */
  readonly path?: string
  /** For each AUTH and CONT line; what it returns is sent, line ends included. */
  answer(words: readonly string[], send: (text: string) => void): string | undefined
}

export const usualHandshake = `VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tSCRAM-SHA-256\tmutual-auth\nSPID\t7\nCUID\t1\nCOOKIE\t${'0'.repeat(32)}\nDONE\n`

export async function startAuthService(options: TestAuthServiceOptions): Promise<TestAuthService> {
  const lines: string[] = []
  const sockets = new Set<Socket>()
  let count = 0
  let server = await listen(options.path ?? 0)
  const place = placeOf(server)

  function serve(socket: Socket): void {
    count += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.setEncoding('utf8')
    socket.write(options.handshake ?? usualHandshake)
    let rest = ''
    socket.on('data', (text: string) => {
      const complete = (rest + text).split('\n')
      rest = complete.pop() ?? ''
      for (const line of complete) take(line, (answer) => socket.write(answer))
    })
  }

  function take(line: string, send: (text: string) => void): void {
    lines.push(line)
    const words = line.split('\t')
    if (words[0] !== 'AUTH' && words[0] !== 'CONT') return
    const answer = options.answer(words, send)
    if (answer !== undefined) send(answer)
  }

  function listen(at: number | string): Promise<Server> {
    const one = createServer(serve)
    return new Promise((resolve, reject) => {
      one.once('error', reject)
      const ready = (): void => resolve(one)
      if (typeof at === 'string') one.listen(at, ready)
      else one.listen(at, '127.0.0.1', ready)
    })
  }

  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    place,
    lines,
    connections: () => count,
    drop,
    close() {
      drop()
      return new Promise((resolve) => server.close(() => resolve()))
    },
    async empty() {
      while (sockets.size > 0) await Promise.race([...sockets].map((socket) => once(socket, 'close')))
    },
    async reopen() {
      server = await listen(place.kind === 'unix' ? place.path : place.port)
    },
  }
}

function placeOf(server: Server): SocketPlace {
  const address = server.address()
  if (typeof address === 'string') return { kind: 'unix', path: address }
  return { kind: 'tcp', host: '127.0.0.1', port: address?.port ?? 0 }
}

/** What a client answered, without the base64. */
export function responseOf(words: readonly string[]): string {
  const resp = words.find((word) => word.startsWith('resp='))?.slice(5) ?? words[2] ?? ''
  return Buffer.from(resp, 'base64').toString()
}

const clientNonce = 'rOprNGfwEbeRWgbNEkqO'

/** What a client of SCRAM-SHA-256 says first. */
export function scramHello(user: string): string {
  return `n,,n=${user},r=${clientNonce}`
}

/** What it says to the server's challenge. */
export function scramAnswer(user: string, password: string, challenge: Buffer): Buffer {
  const first = challenge.toString()
  const [, nonce = '', salt = '', count] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(first) ?? []
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(count), 32, 'sha256')
  const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const clientKey = hmac(salted, 'Client Key')
  const unproved = `c=biws,r=${nonce}`
  const message = `n=${user},r=${clientNonce},${first},${unproved}`
  const signature = hmac(createHash('sha256').update(clientKey).digest(), message)
  const proof = Buffer.from(clientKey.map((octet, index) => octet ^ (signature[index] ?? 0)))
  return Buffer.from(`${unproved},p=${proof.toString('base64')}`)
}

export interface TestHttp {
  readonly url: string
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly body: string }[]
  close(): Promise<void>
}

/** A server that answers each POST as it is told. */
export async function startHttp(
  answer: (body: string) => { status: number; body?: string; headers?: Record<string, string> },
): Promise<TestHttp> {
  const requests: TestHttp['requests'] = []
  const server = createHttpServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString()
      requests.push({ headers: request.headers, body })
      const said = answer(body)
      response.writeHead(said.status, said.headers)
      response.end(said.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
