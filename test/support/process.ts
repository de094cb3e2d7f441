import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import { Changes, within } from './until.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StartOptions {
  /** What it is called in error messages. */
  readonly name?: string
  readonly cwd?: string
  /** Added to PATH, HOME and the locale; nothing else of our environment is inherited. */
  readonly env?: Readonly<Record<string, string>>
  /** Output goes to this file instead of `lines`: for measurements, where reading it would cost the machine. */
  readonly outputFile?: string
}

export interface RunningProcess {
  readonly pid: number
  readonly name: string
  /** Whole lines of stdout and stderr so far, in order of arrival. */
  readonly lines: readonly string[]
  /** Settled once the process has ended and its output is read to the end. */
  readonly exited: Promise<Exit>
  readonly exit: Exit | undefined
  onLine(listener: (line: string) => void): void
  /** Also looks at the lines that came before. @throws Error when the process ends first, with its output. */
  waitForLine(matches: (line: string) => boolean, timeoutMs?: number): Promise<string>
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after the grace time. Safe to call twice. */
  stop(graceMs?: number): Promise<Exit>
}

const running = new Set<ChildProcess>()
let guarded = false

export function startProcess(command: string, args: readonly string[], options: StartOptions = {}): RunningProcess {
  guardAgainstOrphans()
  const name = options.name ?? command
  const output = options.outputFile === undefined ? 'pipe' : openSync(options.outputFile, 'a')
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ['ignore', output, output],
  })
  if (output !== 'pipe') closeSync(output)
  running.add(child)
  const lines: string[] = []
  const listeners: ((line: string) => void)[] = []
  const changes = new Changes()
  let exit: Exit | undefined
  const takeLine = (line: string) => {
    lines.push(line)
    for (const listener of listeners) listener(line)
    changes.changed()
  }
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) readLines(stream, takeLine)
  const exited = new Promise<Exit>((resolve) => {
    const ended = (code: number | null, signal: NodeJS.Signals | null) => {
      running.delete(child)
      exit = { code, signal }
      changes.changed()
      resolve(exit)
    }
    child.once('error', (error) => {
      takeLine(error.message)
      ended(127, null)
    })
    child.once('close', ended)
  })
  const kill = (signal: NodeJS.Signals) => {
    if (exit === undefined && child.pid !== undefined) child.kill(signal)
  }
  return {
    pid: child.pid ?? -1,
    name,
    lines,
    exited,
    get exit() {
      return exit
    },
    onLine: (listener) => listeners.push(listener),
    waitForLine: (matches, timeoutMs = 120_000) => {
      let seen = 0
      const tail = () => lines.slice(-20).join('\n')
      return changes.until(
        timeoutMs,
        () => `the awaited line of ${name}; it said:\n${tail()}`,
        () => {
          for (; seen < lines.length; seen++) if (matches(lines[seen] as string)) return lines[seen]
          if (exit !== undefined) {
            throw new Error(`${name} ended (${describeExit(exit)}) before the awaited line:\n${tail()}`)
          }
          return undefined
        },
      )
    },
    kill,
    stop: async (graceMs = 10_000) => {
      kill('SIGTERM')
      const timer = setTimeout(() => kill('SIGKILL'), graceMs)
      try {
        return await exited
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

export function describeExit(exit: Exit): string {
  return exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`
}

export interface Finished extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** Runs to the end. Does not throw for an exit code: the caller looks. @throws Error after the time limit, process killed. */
export async function run(
  command: string,
  args: readonly string[],
  options: StartOptions & { readonly input?: string | Buffer; readonly timeoutMs?: number } = {},
): Promise<Finished> {
  guardAgainstOrphans()
  const child = spawn(command, args, { cwd: options.cwd, env: environment(options.env), stdio: 'pipe' })
  running.add(child)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const ended = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  try {
    const exit = await within(options.timeoutMs ?? 120_000, `the end of ${options.name ?? command}`, ended)
    return { ...exit, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
  } finally {
    running.delete(child)
    child.kill('SIGKILL')
  }
}

/** Resolves at the first connection that succeeds. @throws Error when the process ends first. */
export async function waitForPort(
  target: { readonly port: number; readonly host?: string } | { readonly path: string },
  process?: RunningProcess,
  timeoutMs = 120_000,
): Promise<void> {
  const deadlineAt = Date.now() + timeoutMs
  while (!(await accepts(target))) {
    if (process?.exit !== undefined) {
      throw new Error(
        `${process.name} ended (${describeExit(process.exit)}) before it listened:\n${process.lines.slice(-20).join('\n')}`,
      )
    }
    if (Date.now() > deadlineAt) {
      throw new Error(
        `nothing listens on ${JSON.stringify(target)} after ${timeoutMs} ms\n${process?.lines.slice(-20).join('\n') ?? ''}`,
      )
    }
    await pause(20)
  }
}

function accepts(target: { readonly port: number; readonly host?: string } | { readonly path: string }) {
  return new Promise<boolean>((resolve) => {
    const socket = connect('path' in target ? { path: target.path } : { host: '127.0.0.1', ...target })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function environment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'NODE_EXTRA_CA_CERTS'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const base = Object.fromEntries(kept)
  return { LC_ALL: 'C.UTF-8', ...base, PATH: `${base['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`, ...added }
}

function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const parts = (rest + text).split(/\r?\n|\r/)
    rest = parts.pop() ?? ''
    for (const part of parts) take(part)
  })
  stream.on('end', () => {
    if (rest !== '') take(rest)
  })
}

/** A test process that dies takes its peers along. */
function guardAgainstOrphans(): void {
  if (guarded) return
  guarded = true
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL')
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
}
