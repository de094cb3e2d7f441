import { randomInt } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

import type { SocketPlace } from '../config/model.ts'
import { LoginUnavailableError } from './login-backend.ts'

/** What Dovecot says to one request. */
export interface DovecotReply {
  readonly word: 'OK' | 'FAIL' | 'CONT'
  /** `user=jane`, `temp`; for CONT the challenge in base64. */
  readonly fields: readonly string[]
}

export interface DovecotTimes {
  /** Until the handshake is over. */
  readonly connectMs: number
  /** For one answer. Dovecot itself holds failures back, those of a guessing address for up to 17 s. */
  readonly answerMs: number
  /** The connection is closed after so long without a request: Dovecot does not stop before all its auth clients are gone. */
  readonly idleMs: number
}

/** The connection broke: a request may be made again on another one. */
export class DovecotLostError extends LoginUnavailableError {
  override readonly name = 'DovecotLostError'
}

interface Waiting {
  readonly resolve: (reply: DovecotReply) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** Dovecot disconnects whoever sends a longer line, and with it all requests that wait on the connection. */
const maxLineOctets = 16_000
const maxWaiting = 1_000

/** One connection to Dovecot's auth service (auth protocol 1.2), with many requests on it at a time. */
export class DovecotConnection {
  /** In capitals, as Dovecot has them enabled. */
  readonly mechanisms: ReadonlySet<string>
  readonly #socket: Socket
  readonly #times: DovecotTimes
  readonly #waiting = new Map<number, Waiting>()
  /** Exchanges that have not come to an end, also those whose client is asked now. */
  readonly #open = new Set<number>()
  #idle: NodeJS.Timeout | undefined
  #heard = 0
  #lastId = 0
  #lost: Error | undefined

  private constructor(socket: Socket, mechanisms: ReadonlySet<string>, times: DovecotTimes) {
    this.#socket = socket
    this.mechanisms = mechanisms
    this.#times = times
  }

  /** @throws LoginUnavailableError: nobody is there, or it is no auth service */
  static async open(place: SocketPlace, times: DovecotTimes): Promise<DovecotConnection> {
    const socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
    socket.setKeepAlive(true, 30_000)
    socket.setNoDelay(true)
    const handshake = new Handshake()
    return new Promise((resolve, reject) => {
      let opened: DovecotConnection | undefined
      const timer = setTimeout(() => fail(new Error(`no handshake within ${times.connectMs} ms`)), times.connectMs)
      function fail(error: Error): void {
        clearTimeout(timer)
        opened?.break(error)
        reject(new LoginUnavailableError(`dovecot: ${error.message}`, { cause: error }))
        socket.destroy()
      }
      function take(line: string): void {
        if (opened !== undefined) return opened.take(line)
        if (!handshake.take(line)) return
        clearTimeout(timer)
        opened = new DovecotConnection(socket, handshake.mechanisms, times)
        resolve(opened)
      }
      readLines(socket, take, fail)
      socket.on('error', fail)
      socket.on('close', () => fail(new Error('the connection was closed')))
      // The id tells clients apart, those of other containers too: Dovecot refuses one it has already.
      socket.write(`VERSION\t1\t2\nCPID\t${randomInt(1, 2 ** 31)}\n`)
    })
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** A number for a request and what follows it. */
  nextId(): number {
    this.#lastId = (this.#lastId % 0x7fff_ffff) + 1
    return this.#lastId
  }

  /**
   * Sends a line that begins with `command` and the request's id, and waits for what is said to that id.
   * @throws DovecotLostError when the connection breaks first; LoginUnavailableError when no answer comes in time
   */
  ask(command: 'AUTH' | 'CONT', id: number, fields: readonly string[]): Promise<DovecotReply> {
    if (this.#lost !== undefined) return Promise.reject(this.#lostError())
    if (this.#waiting.size >= maxWaiting)
      return Promise.reject(new LoginUnavailableError('dovecot: too many logins at once'))
    const line = [command, id, ...fields].join('\t')
    clearTimeout(this.#idle)
    this.#open.add(id)
    return new Promise((resolve, reject) => {
      const heardBefore = this.#heard
      const timer = setTimeout(() => this.#giveUp(id, heardBefore), this.#times.answerMs)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#socket.write(`${line}\n`)
    })
  }

  /** The client does not go on. */
  cancel(id: number): void {
    if (this.#lost !== undefined || !this.#open.has(id)) return
    this.#socket.write(`CANCEL\t${id}\n`)
    this.#settle(id)
  }

  close(): void {
    this.break(new Error('closed'))
    this.#socket.destroy()
  }

  take(line: string): void {
    this.#heard += 1
    const [word, id, ...fields] = line.split('\t')
    if (word !== 'OK' && word !== 'FAIL' && word !== 'CONT') return
    if (word !== 'CONT') this.#settle(Number(id))
    const asked = this.#waiting.get(Number(id))
    if (asked === undefined) return
    this.#waiting.delete(Number(id))
    clearTimeout(asked.timer)
    asked.resolve({ word, fields: word === 'CONT' ? fields : fields.map(unescaped) })
  }

  /** All that waits fails. */
  break(error: Error): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    clearTimeout(this.#idle)
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(this.#lostError())
    }
    this.#waiting.clear()
  }

  #settle(id: number): void {
    this.#open.delete(id)
    if (this.#open.size === 0) this.#idle = setTimeout(() => this.close(), this.#times.idleMs).unref()
  }

  /** A connection on which nothing at all was heard is dead, and TCP does not know yet. */
  #giveUp(id: number, heardBefore: number): void {
    const asked = this.#waiting.get(id)
    this.#waiting.delete(id)
    asked?.reject(new LoginUnavailableError(`dovecot: no answer within ${this.#times.answerMs} ms`))
    if (this.#heard > heardBefore) return this.cancel(id)
    this.break(new Error('it does not answer'))
    this.#socket.destroy()
  }

  #lostError(): DovecotLostError {
    return new DovecotLostError(`dovecot: ${this.#lost?.message ?? ''}`, { cause: this.#lost })
  }
}

/** True when a request of these fields, with room for its id, is not too long to be sent. */
export function fitsLine(fields: readonly string[]): boolean {
  return Buffer.byteLength(fields.join('\t')) < maxLineOctets - 32
}

/** A value for a request: what would end the field or the line is escaped (Dovecot's `str_tabescape`). */
export function escaped(value: string): string {
  return value.replaceAll(/[\0\x01\t\n\r]/g, (sign) => `\x01${escapes[sign] ?? ''}`)
}

const escapes: Readonly<Record<string, string>> = { '\0': '0', '\x01': '1', '\t': 't', '\n': 'n', '\r': 'r' }
const meanings: Readonly<Record<string, string>> = { '0': '\0', '1': '\x01', t: '\t', n: '\n', r: '\r' }

function unescaped(field: string): string {
  return field.replaceAll(/\x01(.?)/g, (_, sign: string) => meanings[sign] ?? sign)
}

/** What the server says first, until DONE; SPID, CUID and COOKIE are for those who also ask its master socket. */
class Handshake {
  readonly mechanisms = new Set<string>()
  #versionSeen = false

  /** True at its end. @throws Error when it is none */
  take(line: string): boolean {
    const [word, first = ''] = line.split('\t')
    if (word === 'VERSION') {
      if (first !== '1') throw new Error(`it speaks version ${first} of the auth protocol, not 1`)
      this.#versionSeen = true
    }
    if (!this.#versionSeen) throw new Error('it does not speak the auth protocol: is this its auth-client socket?')
    if (word === 'MECH') this.mechanisms.add(first.toUpperCase())
    return word === 'DONE'
  }
}

/** Calls `fail` for a line without end, and for what `take` throws. */
function readLines(socket: Socket, take: (line: string) => void, fail: (error: Error) => void): void {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    try {
      for (const line of lines) take(line)
      if (rest.length > 65_536) throw new Error('a line has no end')
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })
}
