import { createHash } from 'node:crypto'
import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { StartError } from './start-error.ts'

/** Longest path of a unix socket that works everywhere, in octets. */
const maxSocketPath = 100

export interface InstanceLock {
  release(): Promise<void>
}

/**
 * One holder per data folder and name, also across containers that share the folder: the lock is a unix socket somebody listens on,
 * so a killed holder frees it by dying.
 * @throws StartError naming the process that holds it
 */
export async function lockInstance(dataFolder: string, name: string): Promise<InstanceLock> {
  const folder = join(dataFolder, 'run')
  await mkdir(folder, { recursive: true })
  const path = socketPath(folder, name)
  const pidFile = join(folder, `${name}.pid`)
  const server = (await listen(path)) ?? (await takeOver(path))
  if (server === undefined) {
    const pid = (await readFile(pidFile, 'utf8').catch(() => '')).trim()
    const holder = pid === '' ? 'another process' : `process ${pid}`
    throw new StartError(
      `data folder ${dataFolder} is in use: ${holder} runs '${name}' on it; stop it first, or give this one a folder of its own with -d or SLUICE_DATA`,
    )
  }
  await writeFile(pidFile, `${process.pid}\n`)
  return {
    async release() {
      await unlink(pidFile).catch(() => undefined)
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function socketPath(folder: string, name: string): string {
  const path = join(folder, `${name}.lock`)
  if (Buffer.byteLength(path) <= maxSocketPath) return path
  return join(tmpdir(), `sluice-${createHash('sha256').update(path).digest('hex').slice(0, 24)}.lock`)
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(path, () => resolve(server))
  })
}

/** The socket file is there: a live holder answers, a dead one's file is removed. */
async function takeOver(path: string): Promise<Server | undefined> {
  if (await answers(path)) return undefined
  await unlink(path).catch(() => undefined)
  return listen(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
