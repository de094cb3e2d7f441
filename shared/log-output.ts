import { write, writeSync } from 'node:fs'

/** Characters that are gathered for one write. */
const blockLength = 4_096
/** What a reader who stands still may leave unread; lines beyond it are lost. */
const mostWaiting = 32 * 1024 * 1024
const retryMs = 20
/** Of a reader who stands still while the process ends. */
const mostSyncTries = 50

/**
 * Lines of the log on their way to a file descriptor: gathered, and written in order without waiting. When nobody reads them any more (EPIPE) they are
 * dropped from then on: a mail server outlives the reader of its log. What cannot be written otherwise (a full disk) is lost, and what comes later is tried.
 */
export class LogOutput {
  readonly #fd: number
  #waiting = ''
  /** The rest of what was begun to be written, while a reader stands still. */
  #rest: Buffer = Buffer.alloc(0)
  #isWriting = false
  #isGone = false

  constructor(fd: number) {
    this.#fd = fd
  }

  /** For pino. */
  write(line: string): void {
    if (this.#isGone || this.#waiting.length > mostWaiting) return
    this.#waiting += line
    if (this.#waiting.length >= blockLength) this.flush()
  }

  /** Begins to write what waits. */
  flush(): void {
    if (this.#isWriting || this.#isGone || this.#waiting === '') return
    const octets = Buffer.from(this.#waiting)
    this.#waiting = ''
    this.#isWriting = true
    this.#send(octets)
  }

  /** Writes what waits before it returns; at the end of the process. */
  flushSync(): void {
    let octets = Buffer.concat([this.#rest, Buffer.from(this.#waiting)])
    this.#rest = Buffer.alloc(0)
    this.#waiting = ''
    for (let tries = 0; octets.length > 0 && !this.#isGone && tries < mostSyncTries;) {
      try {
        octets = octets.subarray(writeSync(this.#fd, octets))
      } catch (error) {
        if (!isBusy(error)) return this.#lose(error)
        tries += 1
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
      }
    }
  }

  #send(octets: Buffer): void {
    write(this.#fd, octets, (error, written) => {
      if (error !== null && !isBusy(error)) {
        this.#lose(error)
        return this.#next()
      }
      const rest = octets.subarray(error === null ? written : 0)
      if (rest.length === 0) return this.#next()
      if (error === null) return this.#send(rest)
      this.#rest = rest
      setTimeout(() => this.#resume(), retryMs)
    })
  }

  /** `flushSync` may have written it meanwhile. */
  #resume(): void {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    if (rest.length === 0) this.#next()
    else this.#send(rest)
  }

  #next(): void {
    this.#isWriting = false
    if (this.#waiting.length >= blockLength) this.flush()
  }

  #lose(error: unknown): void {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return
    this.#isGone = true
    this.#waiting = ''
  }
}

function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAGAIN' || code === 'EBUSY'
}
