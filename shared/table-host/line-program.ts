import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'

export interface LineProgramOptions {
  readonly program: string
  readonly args: readonly string[]
  readonly onLine: (line: string) => void
  /** Once, with the reason; nothing follows. */
  readonly onEnd: (reason: string) => void
  /** A line it wrote for people. */
  readonly onComplaint: (line: string) => void
}

const maxLineOctets = 1_048_576
/** Octets not yet taken by the program, above which it is given up. */
const hopelessOctets = 33_554_432
const stopMs = 1_000

/**
 * A program that is spoken to in lines, over its standard input and output. In a session of its own, so that it ends with all it
 * started; without our environment, which may hold secrets.
 */
export class LineProgram {
  readonly #options: LineProgramOptions
  readonly #child: ChildProcessWithoutNullStreams
  #reason: string | undefined
  #rest = ''
  #output = ''

  constructor(options: LineProgramOptions) {
    this.#options = options
    const { PATH, LANG, TZ } = process.env
    this.#child = spawn(options.program, options.args, {
      cwd: '/',
      detached: true,
      env: { PATH, LANG, TZ },
      stdio: 'pipe',
    })
    this.#child.on('error', (error) => this.#end(`it cannot be started: ${error.message}`))
    this.#child.on('exit', (code, signal) =>
      this.#end(signal === null ? `it ended with ${code}` : `it ended by ${signal}`),
    )
    this.#child.stdin.on('error', () => this.fail('it closed its input'))
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#followComplaints()
  }

  get alive(): boolean {
    return this.#reason === undefined
  }

  /** Lines of one turn go out together. */
  send(line: string): void {
    if (!this.alive) return
    if (this.#output === '') process.nextTick(() => this.#flush())
    this.#output += `${line}\n`
  }

  /** Gives it up at once. */
  fail(reason: string): void {
    this.#end(reason)
    this.#kill()
  }

  /** Asks it to end by closing its input, and ends it when it does not. */
  async stop(): Promise<void> {
    const exited = this.#child.exitCode !== null || this.#child.signalCode !== null
    this.#end('it was stopped')
    if (exited || this.#child.pid === undefined) return
    const gone = once(this.#child, 'exit')
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#kill(), stopMs)
    await gone
    clearTimeout(timer)
  }

  #followComplaints(): void {
    let pending = ''
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${pending}${text}`.split('\n')
      pending = (lines.pop() ?? '').slice(0, 1_000)
      for (const line of lines) this.#options.onComplaint(line.slice(0, 1_000))
    })
  }

  #read(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (this.alive) this.#options.onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (this.#rest.length > maxLineOctets && this.alive) this.fail('it sent a line without an end')
  }

  #flush(): void {
    const text = this.#output
    this.#output = ''
    const { stdin } = this.#child
    if (text === '' || !this.alive || !stdin.writable) return
    stdin.write(text)
    if (stdin.writableLength > hopelessOctets) this.fail('it does not read what it is sent')
  }

  #end(reason: string): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#options.onEnd(reason)
  }

  #kill(): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      this.#child.kill('SIGKILL')
    }
  }
}
