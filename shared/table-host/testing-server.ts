import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'

import type { SocketPlace } from '../config/model.ts'

export interface TestingServer {
  readonly place: Extract<SocketPlace, { readonly kind: 'tcp' }>
  /** Connections so far. */
  readonly count: () => number
  /** Ends all connections, and goes on listening. */
  hangUp(): Promise<void>
  close(): Promise<void>
}

/** A server on loopback for tests of the protocols of tables; `onData` has what one client says, as it comes. */
export async function startTestingServer(
  t: TestContext,
  onData: (socket: Socket, said: Buffer) => void,
  onConnection: (socket: Socket) => void = () => undefined,
): Promise<TestingServer> {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer((socket) => {
    count += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    onConnection(socket)
    socket.on('data', (chunk) => onData(socket, chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  function hangUp(): Promise<void> {
    const ended = [...sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())))
    for (const socket of sockets) socket.destroy()
    return Promise.all(ended).then(() => undefined)
  }

  async function close(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    await hangUp()
    await closed
  }

  t.after(() => close())
  return { place: { kind: 'tcp', host: '127.0.0.1', port }, count: () => count, hangUp, close }
}
