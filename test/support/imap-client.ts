import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

import { Changes } from './until.ts'

/** A session of IMAP (RFC 3501) by TLS, certificate not looked at: commands, and all that is answered to them. */
export class ImapClient {
  readonly #socket: TLSSocket
  readonly #changes = new Changes()
  #input = ''
  #closed = false
  #number = 0

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#input += text
      this.#changes.changed()
    })
    const closed = () => {
      this.#closed = true
      this.#changes.changed()
    }
    for (const event of ['error', 'end', 'close']) socket.on(event, closed)
  }

  /** @throws Error when the server is not there or refuses. */
  static async login(server: {
    readonly port: number
    readonly user: string
    readonly password: string
  }): Promise<ImapClient> {
    const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const client = new ImapClient(socket)
    try {
      await client.command(`LOGIN "${server.user}" "${server.password}"`)
      return client
    } catch (error) {
      client.close()
      throw error
    }
  }

  /** The answer as it came, its last line included. @throws Error when that is not OK. */
  async command(line: string): Promise<string> {
    this.#number += 1
    const tag = `a${this.#number}`
    this.#input = ''
    this.#socket.write(`${tag} ${line}\r\n`)
    const answer = await this.#changes.until(
      120_000,
      () => `an answer to ${line}`,
      () => {
        if (new RegExp(`^${tag} .*\\r\\n`, 'm').test(this.#input.slice(-1000))) return this.#input
        if (this.#closed) throw new Error(`the IMAP server closed after ${line}: ${this.#input}`)
        return undefined
      },
    )
    if (!new RegExp(`^${tag} OK`, 'm').test(answer)) throw new Error(`${line}: ${answer.slice(-1000)}`)
    return answer
  }

  close(): void {
    this.#socket.destroy()
  }
}
