import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { connectOnce } from './connection.ts'
import { isAlive } from '../file-lock.ts'

/** A program that starts a Redis or a Valkey, and what its loader needs. */
export interface ServerProgram {
  readonly command: string
  readonly libraryPath?: string
}

/** Longest path of a unix socket that all systems take (sun_path holds 104 octets on macOS, 108 on Linux). */
const longestSocketPath = 100

/** The socket below the folder, or a short one in the temporary folder that the same data folder always leads to. */
export function socketPathOf(folder: string): string {
  const path = join(folder, 'redis.sock')
  if (Buffer.byteLength(path) <= longestSocketPath) return path
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  return join(tmpdir(), `sluice-${process.getuid?.() ?? 0}-${hash}.sock`)
}

/** True when a Redis answers on the socket; one that is still loading counts. */
export async function answers(socketPath: string): Promise<boolean> {
  try {
    const redis = await connectOnce({ kind: 'socket', path: socketPath }, 'probe', 2000)
    redis.disconnect()
    return true
  } catch (error) {
    return error instanceof Error && /LOADING/.test(error.message)
  }
}

/**
 * Starts a Redis of our own on a unix socket and returns its process id once it answers. It listens on no TCP port and lives
 * on when we die, so that the next start finds the queues as they were. `appendfsync everysec`: the spool is the truth,
 * and what the last second before a power loss added is added again from it; `always` would cost an fsync per job for
 * nothing. `noeviction`: a job may never vanish.
 */
export async function startServer(
  program: ServerProgram,
  folder: string,
  socketPath: string,
  extra: readonly string[] = [],
): Promise<number> {
  await rm(socketPath, { force: true })
  const logPath = join(folder, 'redis.log')
  const log = await open(logPath, 'a', 0o600)
  try {
    const child = spawn(program.command, serverArguments(folder, socketPath, extra), {
      cwd: folder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: environmentOf(program),
    })
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `exit code ${code}`}`))
    })
    const trouble = await Promise.race([ended, untilItAnswers(socketPath)])
    if (trouble !== undefined) throw new Error(`${program.command} did not start: ${trouble}; see ${logPath}`)
    child.unref()
    child.removeAllListeners()
    return child.pid ?? 0
  } finally {
    await log.close()
  }
}

/** The process a pidfile in the folder names, when it lives. */
export async function runningServer(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, 'redis.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return isAlive(pid) && (await isRedis(pid)) ? pid : undefined
}

/**
 * Moves append-only files away that the last start complained about; where to, or undefined when they were not the cause.
 * Queues can be built again from the spool, a mail server that does not start helps nobody.
 */
export async function setDamagedAside(folder: string): Promise<string | undefined> {
  const log = await readFile(join(folder, 'redis.log'), 'utf8')
  const lastStart = log.slice(log.lastIndexOf('oO0OoO0OoO0Oo'))
  if (!/Bad file format reading the append only file|AOF .*(?:truncated|corrupt|missing)/i.test(lastStart))
    return undefined
  const aside = join(folder, `appendonlydir.damaged-${Date.now()}`)
  await rename(join(folder, 'appendonlydir'), aside)
  return aside
}

function serverArguments(folder: string, socketPath: string, extra: readonly string[]): string[] {
  const settings: Record<string, string> = {
    port: '0',
    unixsocket: socketPath,
    unixsocketperm: '700',
    dir: folder,
    pidfile: join(folder, 'redis.pid'),
    daemonize: 'no',
    save: '',
    appendonly: 'yes',
    appendfsync: 'everysec',
    'no-appendfsync-on-rewrite': 'yes',
    'maxmemory-policy': 'noeviction',
    'lazyfree-lazy-user-del': 'yes',
    'tcp-backlog': '128',
    'set-proc-title': 'no',
    // A job's record in one allocation: a third less memory. The old name is known to Redis 6.2 as well.
    'hash-max-ziplist-value': '2048',
  }
  return [...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]), ...extra]
}

function environmentOf(program: ServerProgram): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...(HOME === undefined ? {} : { HOME }),
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    LC_ALL: 'C',
    ...(program.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: program.libraryPath }),
  }
}

/** A large append-only file takes a while to load; the socket is there before. */
async function untilItAnswers(socketPath: string): Promise<string | undefined> {
  const endAt = Date.now() + 60_000
  while (Date.now() < endAt) {
    if (await answers(socketPath)) return undefined
    await sleep(15)
  }
  return 'no answer for 60 s'
}

/** Process ids are used again: the command line tells a Redis from a stranger where /proc exists. */
async function isRedis(pid: number): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  return command === undefined || /redis|valkey/.test(command)
}
