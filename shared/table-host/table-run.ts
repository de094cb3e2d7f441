import type { Question } from '../config/external-table.ts'
import type { Logger } from '../log.ts'
import { LineProgram } from './line-program.ts'
import { configLines, parseMessage, questionLine } from './protocol.ts'
import type { TableResult } from './protocol.ts'

/** A table program gives no answer: it has ended, is too slow, or breaks the protocol. */
export class TableFailure extends Error {
  override readonly name = 'TableFailure'
}

export interface TableRunOptions {
  /** Of the table, as smtpd.conf names it. */
  readonly name: string
  readonly program: string
  /** The file it is told to read. */
  readonly config?: string
  /** For one answer. */
  readonly timeoutMs: number
  /** For `register|ready`; absent: as for an answer. */
  readonly greetingMs?: number
  readonly log: Logger
  /** Epoch ms. */
  readonly now: () => number
}

interface Open {
  readonly ask: string
  readonly resolve: (result: TableResult) => void
  readonly reject: (error: TableFailure) => void
  readonly timer: NodeJS.Timeout
}

/**
 * One life of a table program. Any number of questions are open at a time, none waits for another's answer. When the program ends,
 * whatever the reason, every open question fails at once.
 */
export class TableRun {
  /** Resolves at `register|ready`; rejects when the program ends or is silent before. */
  readonly ready: Promise<void>
  /** Resolves with the reason. */
  readonly ended: Promise<string>
  readonly #options: TableRunOptions
  readonly #program: LineProgram
  readonly #services = new Set<string>()
  readonly #open = new Map<string, Open>()
  readonly #greeting: NodeJS.Timeout
  #isReady = false
  #count = 0
  #said = 0
  #settleReady: (error?: TableFailure) => void = () => undefined
  #settleEnded: (reason: string) => void = () => undefined

  constructor(options: TableRunOptions) {
    this.#options = options
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error))
    })
    this.ready.catch(() => undefined)
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve
    })
    const { name, program, config, log, timeoutMs, greetingMs = timeoutMs } = options
    this.#greeting = setTimeout(() => this.#program.fail('it did not say register|ready in time'), greetingMs)
    this.#program = new LineProgram({
      program,
      args: config === undefined ? [] : [config],
      onLine: (line) => this.#take(line),
      onEnd: (reason) => this.#end(reason),
      onComplaint: (line) => log.warn({ table: name, line }, 'table'),
    })
    for (const line of configLines(name)) this.#program.send(line)
  }

  /** Waits until the program is ready. @throws TableFailure */
  async ask(question: Question | 'update'): Promise<TableResult> {
    await this.ready
    if (question !== 'update' && !this.#services.has(question.service))
      throw new TableFailure(`it does not serve ${question.service}, only ${[...this.#services].join(', ')}`)
    return this.#put(question)
  }

  stop(): Promise<void> {
    return this.#program.stop()
  }

  #put(question: Question | 'update'): Promise<TableResult> {
    this.#count += 1
    const id = this.#count.toString(16).padStart(8, '0')
    const said = this.#said
    return new Promise((resolve, reject) => {
      if (!this.#program.alive) return reject(new TableFailure('it has ended'))
      const timer = setTimeout(() => this.#timedOut(id, said), this.#options.timeoutMs)
      this.#open.set(id, { ask: question === 'update' ? 'update' : question.ask, resolve, reject, timer })
      this.#program.send(questionLine(this.#options.name, this.#options.now(), id, question))
    })
  }

  #take(line: string): void {
    this.#said += 1
    const message = parseMessage(line)
    if (message === undefined || (message.kind === 'result') !== this.#isReady)
      return this.#program.fail(`it said what it must not: ${line.slice(0, 100)}`)
    switch (message.kind) {
      case 'registers':
        this.#services.add(message.service)
        return
      case 'ready':
        this.#isReady = true
        clearTimeout(this.#greeting)
        return this.#settleReady()
      case 'result':
        return this.#answered(message.id, message.ask, message.result)
    }
  }

  /** An answer that comes too late is none. `fetch` may be answered as a look-up. */
  #answered(id: string, ask: string, result: TableResult): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    const fits = ask === open.ask || (open.ask === 'fetch' && ask === 'lookup')
    if (!fits) return this.#program.fail(`it answered ${ask} where ${open.ask} was asked`)
    clearTimeout(open.timer)
    this.#open.delete(id)
    open.resolve(result)
  }

  /** One late answer is one question's trouble; a program that said nothing meanwhile hangs. */
  #timedOut(id: string, saidBefore: number): void {
    const open = this.#open.get(id)
    this.#open.delete(id)
    open?.reject(new TableFailure('it did not answer in time'))
    if (this.#said === saidBefore) this.#program.fail('it hangs')
  }

  #end(reason: string): void {
    clearTimeout(this.#greeting)
    const failure = new TableFailure(reason)
    this.#settleReady(failure)
    for (const { timer, reject } of this.#open.values()) {
      clearTimeout(timer)
      reject(failure)
    }
    this.#open.clear()
    this.#settleEnded(reason)
  }
}
