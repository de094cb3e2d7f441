import { randomBytes } from 'node:crypto'
import { open, readFile, rm, stat, utimes } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { hostIdentity } from './process-identity.ts'

const staleAfterMs = 30_000
const settleMs = 100

/**
 * Runs `action` while no other process runs one under the same path. The lock of a process that is gone is taken over:
 * at once when it was one of this host (or container) and its pid is free, else when it was not touched for 30 s; a holder
 * touches it every 5 s.
 */
export async function withFileLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const mark = `${process.pid} ${randomBytes(8).toString('hex')} ${hostIdentity()}\n`
  await acquire(path, mark)
  const touch = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), 5000)
  try {
    return await action()
  } finally {
    clearInterval(touch)
    await rm(path, { force: true })
  }
}

async function acquire(path: string, mark: string): Promise<void> {
  for (;;) {
    if (await create(path, mark)) return
    if (await isStale(path)) {
      await rm(path, { force: true })
      // Two may find the same stale lock: the one whose mark stands after a while has it.
      if ((await create(path, mark)) && (await stands(path, mark))) return
    }
    await sleep(20 + Math.random() * 30)
  }
}

async function create(path: string, mark: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(mark)
    await file.close()
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

async function stands(path: string, mark: string): Promise<boolean> {
  await sleep(settleMs)
  return (await readFile(path, 'utf8').catch(() => '')) === mark
}

async function isStale(path: string): Promise<boolean> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const ageMs = Date.now() - mtimeMs
    const [pid, , host] = text.trimEnd().split(' ')
    // Of another container's processes none is to be seen here.
    const isGone = host === hostIdentity() && !isAlive(Number(pid))
    return ageMs > staleAfterMs || (ageMs > 1000 && isGone)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** True when a process with that id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
