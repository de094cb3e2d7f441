import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'

import type { AnswerStatus, FilterTally } from '../filter-tally/tally.ts'
import { processFilterName } from '../filter-tally/names.ts'
import type { Logger } from '../log.ts'
import { configLines, parseMessage, reportLine, requestLine } from './protocol.ts'
import type { FilterAnswer, FilterMessage } from './protocol.ts'
import { cannotRunAs, startOf } from './run-as.ts'
import type { ProgramStart, RunAs } from './run-as.ts'
import type { FilterSettings } from './settings.ts'

/** A filter gives no answer: it has ended, is too slow, or breaks the protocol. */
export class FilterFailure extends Error {
  override readonly name = 'FilterFailure'
}

export interface FilterRunOptions {
  readonly name: string
  readonly command: string
  /** Who it runs as, and where; absent: as this process. */
  readonly runAs?: RunAs
  readonly settings: FilterSettings
  /** Told to the filter as its authserv-id. */
  readonly admd: string
  readonly log: Logger
  /** Epoch ms, with fractions. */
  readonly now: () => number
  /** Absent: nobody counts its answers. */
  readonly tally?: Pick<FilterTally, 'answered'> | undefined
}

/** One message on its way through a filter. Lines have their dots stuffed; the last is `.`. */
export interface LineStream {
  /** Behind the last line it does nothing. */
  write(line: string): void
  /** Waits for the answer to end; rejects with FilterFailure. */
  readonly done: Promise<void>
  /** What still comes is dropped. */
  abandon(): void
}

interface Question {
  readonly resolve: (answer: FilterAnswer) => void
  readonly reject: (error: FilterFailure) => void
  readonly timer: NodeJS.Timeout
}

interface OpenStream {
  onLine: ((line: string) => void) | undefined
  readonly finish: (error?: FilterFailure) => void
  timer: NodeJS.Timeout | undefined
}

const sessionIsOver = 'the session is over'
const maxLineOctets = 1_048_576
/** Octets not yet taken by the filter: above the first the sender waits, above the second the filter is given up. */
const congestedOctets = 262_144
const hopelessOctets = 33_554_432
const stopMs = 1_000

/**
 * One life of a filter process. Sessions share it; none waits for another's answer. When it ends, whatever the reason, every
 * open question fails at once.
 */
export class FilterRun {
  /** Resolves at `register|ready`, rejects when the process ends or is silent before. */
  readonly ready: Promise<void>
  /** Resolves with the reason. */
  readonly ended: Promise<string>
  readonly #options: FilterRunOptions
  readonly #child: ChildProcessWithoutNullStreams
  readonly #events = new Set<string>()
  /** Token by phase: the same for all sessions. */
  readonly #tokens = new Map<string, string>()
  readonly #questions = new Map<string, Question>()
  readonly #streams = new Map<string, OpenStream>()
  #isReady = false
  #reason: string | undefined
  #rest = ''
  #output = ''
  #saidAt: number
  #settleReady: (error?: FilterFailure) => void = () => undefined
  #settleEnded: (reason: string) => void = () => undefined

  constructor(options: FilterRunOptions) {
    this.#options = options
    this.#saidAt = options.now()
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error))
    })
    this.ready.catch(() => undefined)
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve
    })
    this.#child = this.#spawn()
    const { settings, admd } = options
    const greeted = setTimeout(() => this.fail('it did not say register|ready in time'), settings.timeoutMs)
    void this.ready.then(
      () => clearTimeout(greeted),
      () => clearTimeout(greeted),
    )
    for (const line of configLines(settings.protocol, admd, 300_000)) this.#send(line)
  }

  get alive(): boolean {
    return this.#reason === undefined
  }

  /** The filter registered for this phase. */
  filters(phase: string): boolean {
    return this.#tokens.has(phase)
  }

  /** @throws FilterFailure */
  ask(phase: string, session: string, fields: readonly string[]): Promise<FilterAnswer> {
    const token = this.#tokens.get(phase) ?? ''
    const key = `${session} ${token}`
    const askedAt = this.#options.now()
    const answer = new Promise<FilterAnswer>((resolve, reject) => {
      if (!this.alive) return reject(new FilterFailure(this.#reason))
      const timer = setTimeout(() => this.#timedOut(key, askedAt), this.#options.settings.timeoutMs)
      this.#questions.set(key, { resolve, reject, timer })
      this.#request(phase, session, token, fields)
    })
    if (this.#options.tally !== undefined) this.#count(answer, askedAt)
    return answer
  }

  /** A session that ended before its answer came says nothing of the filter. */
  #count(answer: Promise<FilterAnswer>, askedAt: number): void {
    const { tally, name, now } = this.#options
    const told = (status: AnswerStatus, reason?: string): void =>
      tally?.answered(processFilterName(name), {
        status,
        tookMs: now() - askedAt,
        ...(reason === undefined ? {} : { reason }),
      })
    answer.then(
      () => told('ok'),
      (error: Error) => {
        if (error.message !== sessionIsOver) told('failed', error.message)
      },
    )
  }

  /** The session is over, and waits for nothing. */
  forget(session: string): void {
    for (const [key, { timer, reject }] of this.#questions) {
      if (!key.startsWith(`${session} `)) continue
      clearTimeout(timer)
      this.#questions.delete(key)
      reject(new FilterFailure(sessionIsOver))
    }
    this.#streams.get(session)?.finish(new FilterFailure(sessionIsOver))
  }

  report(event: string, session: string, fields: readonly string[]): void {
    if (!this.alive || !(this.#events.has(event) || this.#events.has('*'))) return
    this.#send(reportLine(this.#options.settings.protocol, this.#options.now(), event, session, fields))
  }

  /** @throws FilterFailure while the filter has not ended its answer for the session's message before */
  openStream(session: string, onLine: (line: string) => void): LineStream {
    if (!this.alive) throw new FilterFailure(this.#reason)
    if (this.#streams.has(session)) throw new FilterFailure('it still holds the message before')
    const token = this.#tokens.get('data-line') ?? ''
    let stream: OpenStream | undefined
    let ended = false
    const done = new Promise<void>((resolve, reject) => {
      stream = {
        onLine,
        timer: undefined,
        finish: (error) => {
          clearTimeout(stream?.timer)
          this.#streams.delete(session)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      this.#streams.set(session, stream)
    })
    done.catch(() => undefined)
    const { dataTimeoutMs } = this.#options.settings
    return {
      done,
      write: (line) => {
        if (ended) return
        ended = line === '.'
        this.#request('data-line', session, token, [line])
        if (line !== '.' || stream === undefined) return
        const late = new FilterFailure('it did not end the message in time')
        stream.timer = setTimeout(() => stream?.finish(late), dataTimeoutMs)
      },
      abandon: () => {
        if (stream !== undefined) stream.onLine = undefined
      },
    }
  }

  /** Set while the filter takes less than it is sent. */
  congestion(): Promise<void> | undefined {
    const { stdin } = this.#child
    if (!this.alive || stdin.writableLength + this.#output.length < congestedOctets) return undefined
    this.#flush()
    return stdin.writableNeedDrain
      ? Promise.race([once(stdin, 'drain'), this.ended]).then(
          () => undefined,
          () => undefined,
        )
      : undefined
  }

  /** Gives the process up, and all that belongs to it. */
  fail(reason: string): void {
    this.#end(reason)
    this.#kill('SIGKILL')
  }

  /** Asks the process to end by closing its input, and ends it when it does not. */
  async stop(): Promise<void> {
    const exited = this.#child.exitCode !== null || this.#child.signalCode !== null
    this.#end('it was stopped')
    if (exited || this.#child.pid === undefined) return
    const gone = once(this.#child, 'exit')
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#kill('SIGKILL'), stopMs)
    await gone
    clearTimeout(timer)
  }

  /** In a session of its own, so that it ends with all it started; without our environment, which may hold secrets. */
  #spawn(): ChildProcessWithoutNullStreams {
    const { PATH, LANG, TZ } = process.env
    const { command, args, ...ids } = this.#programStart()
    const child = spawn(command, args, {
      cwd: '/',
      detached: true,
      env: { PATH, LANG, TZ },
      stdio: 'pipe',
      ...ids,
    })
    child.on('error', (error) => this.#end(`it cannot be started: ${error.message}`))
    child.on('exit', (code, signal) => this.#end(signal === null ? `it ended with ${code}` : `it ended by ${signal}`))
    child.stdin.on('error', () => this.fail('it closed its input'))
    child.stdout.setEncoding('latin1').on('data', (text: string) => this.#read(text))
    let pending = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${pending}${text}`.split('\n')
      pending = (lines.pop() ?? '').slice(0, 1_000)
      for (const line of lines) this.#warn(line.slice(0, 1_000))
    })
    return child
  }

  #programStart(): ProgramStart {
    const { command, settings, runAs = {} } = this.#options
    const path = command.startsWith('/') ? command : `${settings.folder}/${command}`
    const refused = cannotRunAs(runAs)
    if (refused !== undefined) this.#warn(refused)
    return startOf(path, runAs)
  }

  #warn(line: string): void {
    this.#options.log.warn({ filter: this.#options.name, line }, 'filter')
  }

  #read(text: string): void {
    this.#saidAt = this.#options.now()
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (this.alive) this.#take(line)
    if (this.#rest.length > maxLineOctets && this.alive) this.fail('it sent a line without an end')
  }

  #take(line: string): void {
    const message = parseMessage(this.#options.settings.protocol, line)
    if (message === undefined || (message.kind === 'registers' || message.kind === 'ready') === this.#isReady)
      return this.fail(`it said what it must not: ${line.slice(0, 100)}`)
    switch (message.kind) {
      case 'registers':
        if (message.what === 'report') this.#events.add(message.name)
        else this.#tokens.set(message.name, randomBytes(8).toString('hex'))
        return
      case 'ready':
        this.#isReady = true
        return this.#settleReady()
      case 'result':
        return this.#answered(message)
      case 'line':
        return this.#lineCame(message)
    }
  }

  /** An answer nobody waits for any more is none: the session ended, or gave up. */
  #answered({ session, token, answer }: Extract<FilterMessage, { readonly kind: 'result' }>): void {
    const key = `${session} ${token}`
    const question = this.#questions.get(key)
    if (question === undefined) return
    clearTimeout(question.timer)
    this.#questions.delete(key)
    question.resolve(answer)
  }

  #lineCame({ session, token, line }: Extract<FilterMessage, { readonly kind: 'line' }>): void {
    const stream = token === this.#tokens.get('data-line') ? this.#streams.get(session) : undefined
    if (stream === undefined) return
    stream.onLine?.(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (line === '.' || line === '.\r') stream.finish()
  }

  /** One late answer is one session's trouble; a process that said nothing meanwhile hangs. */
  #timedOut(key: string, askedAt: number): void {
    const question = this.#questions.get(key)
    this.#questions.delete(key)
    question?.reject(new FilterFailure('it did not answer in time'))
    if (this.#saidAt < askedAt) this.fail('it hangs')
  }

  #request(phase: string, session: string, token: string, fields: readonly string[]): void {
    this.#send(requestLine(this.#options.settings.protocol, this.#options.now(), phase, { session, token, fields }))
  }

  /** Lines of one turn go out together. */
  #send(line: string): void {
    if (!this.alive) return
    if (this.#output === '') process.nextTick(() => this.#flush())
    this.#output += `${line}\n`
  }

  #flush(): void {
    const text = this.#output
    this.#output = ''
    if (text === '' || !this.alive || !this.#child.stdin.writable) return
    this.#child.stdin.write(text, 'latin1')
    if (this.#child.stdin.writableLength > hopelessOctets) this.fail('it does not read what it is sent')
  }

  #end(reason: string): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    const failure = new FilterFailure(reason)
    this.#settleReady(failure)
    for (const { timer, reject } of this.#questions.values()) {
      clearTimeout(timer)
      reject(failure)
    }
    this.#questions.clear()
    for (const stream of this.#streams.values()) stream.finish(failure)
    this.#settleEnded(reason)
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    try {
      process.kill(-pid, signal)
    } catch {
      // Ended between the look and the signal.
    }
  }
}
