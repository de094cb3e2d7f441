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
 * dropped from then on: a mail server outlives the reader of its log.
 */
export class LogOutput {
  readonly #fd: number
  #waiting = ''
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
    let octets = Buffer.from(this.#waiting)
    this.#waiting = ''
    for (let tries = 0; octets.length > 0 && !this.#isGone && tries < mostSyncTries;) {
      try {
        octets = octets.subarray(writeSync(this.#fd, octets))
      } catch (error) {
        if (!isBusy(error)) this.#isGone = true
        else {
          tries += 1
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
        }
      }
    }
  }

  #send(octets: Buffer): void {
    write(this.#fd, octets, (error, written) => {
      if (error !== null && !isBusy(error)) {
        this.#isGone = true
        this.#waiting = ''
        return
      }
      const rest = octets.subarray(error === null ? written : 0)
      if (rest.length > 0) {
        if (error === null) this.#send(rest)
        else setTimeout(() => this.#send(rest), retryMs)
        return
      }
      this.#isWriting = false
      if (this.#waiting.length >= blockLength) this.flush()
    })
  }
}

function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAGAIN' || code === 'EBUSY'
}
