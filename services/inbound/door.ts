import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** Whoever the clients of a door are led to. */
export interface Host {
  accept(socket: Socket): void
}

/**
 * A listening socket, which stays while configurations come and go: who comes in is led to the host of the one in force then. Before
 * there is a host, clients wait.
 */
export class Door {
  readonly address: AddressInfo
  readonly #server: Server
  #host: Host | undefined
  #early: Socket[]
  #closed: Promise<void> | undefined

  private constructor(server: Server, early: Socket[]) {
    this.#server = server
    this.#early = early
    this.address = server.address() as AddressInfo
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => this.#enter(socket))
  }

  /** @throws the error of listen(2) */
  static open(host: string, port: number): Promise<Door> {
    const early: Socket[] = []
    const server = createServer({ noDelay: true }, (socket) => void early.push(socket))
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        server.on('error', () => undefined)
        resolve(new Door(server, early))
      })
    })
  }

  leadTo(host: Host): void {
    this.#host = host
    for (const socket of this.#early.splice(0)) host.accept(socket)
  }

  /** Lets nobody in any more. Resolves when all who came in are gone. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#early.splice(0)) socket.destroy()
    return this.#closed
  }

  #enter(socket: Socket): void {
    if (this.#host === undefined) this.#early.push(socket)
    else this.#host.accept(socket)
  }
}
