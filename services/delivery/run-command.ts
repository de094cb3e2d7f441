import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { Writable } from 'node:stream'

import type { Owner } from './account.ts'

export interface CommandRun {
  readonly argv: readonly string[]
  /** All of it: nothing of ours goes along. */
  readonly environment: Readonly<Record<string, string>>
  readonly folder: string
  /** Given when we run as root: who it runs as, without any other group. */
  readonly owner?: Owner
  readonly input: AsyncIterable<Buffer>
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export type CommandResult =
  | {
      readonly kind: 'exited'
      readonly code: number
      /** The last line it wrote, printable; empty when it wrote none. */
      readonly lastLine: string
    }
  | { readonly kind: 'killed'; readonly by: string }
  | { readonly kind: 'timeout' }

/** How long what it started may hold its output open when it has ended itself. */
const outputGraceMs = 1_000

/**
 * Runs a program without a shell, the input on its stdin, in a process group of its own. The group is killed when time is over, when the
 * service stops, or when the input breaks off: a program never takes half a message for a whole one.
 * @throws what `input` throws, the reason of `signal`, or the error of a program that cannot be started
 */
export async function runCommand(run: CommandRun): Promise<CommandResult> {
  const { signal } = run
  signal.throwIfAborted()
  const child = start(run)
  const output = new LastLine()
  child.stdout?.pipe(output.sink(), { end: false })
  child.stderr?.pipe(output.sink(), { end: false })
  let ended: 'timeout' | 'stopped' | undefined
  const end = (why: 'timeout' | 'stopped') => (): void => {
    ended ??= why
    killGroup(child)
  }
  const stop = end('stopped')
  const timer = setTimeout(end('timeout'), run.timeoutMs)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const exited = exitOf(child)
    const fed = feed(child, run.input)
    // Whichever fails first decides; a program may end well without reading all of its input.
    const [exit] = await Promise.all([exited, fed])
    if (ended === 'timeout') return { kind: 'timeout' }
    signal.throwIfAborted()
    await closed(child)
    return exit.code === null
      ? { kind: 'killed', by: exit.signal ?? 'a signal' }
      : { kind: 'exited', code: exit.code, lastLine: output.text }
  } catch (error) {
    killGroup(child)
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  }
}

function start({ argv: [program = '', ...words], environment, folder, owner }: CommandRun): ChildProcess {
  return spawn(program, words, {
    cwd: folder,
    env: environment,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
  })
}

interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      // What it has started may hold its stdin open; nobody is there to read it.
      child.stdin?.destroy()
      resolve({ code, signal })
    })
  })
}

async function feed(child: ChildProcess, input: AsyncIterable<Buffer>): Promise<void> {
  const { stdin } = child
  if (stdin === null) return
  // EPIPE: the program has read as much as it wants, its exit code says whether that was well.
  stdin.on('error', () => {})
  try {
    for await (const chunk of input) {
      if (stdin.destroyed) return
      if (!stdin.write(chunk)) await writable(stdin)
    }
  } catch (error) {
    killGroup(child)
    throw error
  }
  stdin.end()
}

function writable(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      stdin.off('drain', go).off('close', go)
      resolve()
    }
    stdin.once('drain', go).once('close', go)
  })
}

function closed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.stdout?.closed === true && child.stderr?.closed === true) return resolve()
    const timer = setTimeout(resolve, outputGraceMs)
    child.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** The program and what it started: they have a group of their own. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended already.
  }
}

const longestLine = 400

/** Keeps the last line of what is written. */
class LastLine {
  #current = Buffer.alloc(0)
  #last = ''

  /** Both outputs of a program go to the same place. */
  sink(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#add(chunk)
        done()
      },
    })
  }

  get text(): string {
    const current = printable(this.#current)
    return current === '' ? this.#last : current
  }

  #add(chunk: Buffer): void {
    const end = chunk.lastIndexOf(0x0a)
    if (end >= 0) {
      const lines = printableLines(Buffer.concat([this.#current, chunk.subarray(0, end)]))
      this.#last = lines.at(-1) ?? this.#last
      this.#current = Buffer.alloc(0)
    }
    const rest = chunk.subarray(end + 1)
    this.#current = Buffer.concat([this.#current, rest.subarray(0, longestLine - this.#current.length)])
  }
}

/** The end is enough: an output may be as long as it likes. */
function printableLines(text: Buffer): readonly string[] {
  return text
    .subarray(-8 * longestLine)
    .toString()
    .split('\n')
    .map((line) => printable(Buffer.from(line)))
    .filter((line) => line !== '')
}

function printable(line: Buffer): string {
  return line
    .subarray(0, longestLine)
    .toString()
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]+/g, ' ')
    .trim()
}
