import { randomBytes, randomUUID } from 'node:crypto'
import { link, open, rename, rm, utimes, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { hostIdentity } from './process-identity.ts'

const staleAfterMs = 30_000

/**
 * Runs `action` while no other process runs one under the same path. The lock of a process that is gone is taken over:
 * at once when it was one of this host (or container) and its pid is free, else when it was not touched for 30 s; a holder
 * touches it every 5 s. Everybody may read it: root and the services lock each other out.
 */
export async function withFileLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const mark = `${process.pid} ${randomBytes(8).toString('hex')} ${hostIdentity()}\n`
  while (!(await acquire(path, mark))) await sleep(20 + Math.random() * 30)
  const touch = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), 5000)
  try {
    return await action()
  } finally {
    clearInterval(touch)
    // Another has it when this process slept for so long that it was taken for gone.
    if ((await read(path))?.mark === mark) await rm(path, { force: true })
  }
}

interface Lock {
  readonly mark: string
  readonly isStale: boolean
}

async function acquire(path: string, mark: string): Promise<boolean> {
  const lock = await read(path)
  if (lock === undefined) return place(path, mark)
  return lock.isStale && takeOver(path, lock, mark)
}

/**
 * Of all who find the same stale lock only the one who places the file that is named after it may replace it. Whoever dies over that leaves
 * a stale lock of the same kind, with a name of its own for its successor.
 */
async function takeOver(path: string, stale: Lock, mark: string): Promise<boolean> {
  const dead: string[] = []
  for (let last = stale; ;) {
    const claim = `${path}.after-${/^\d+ ([0-9a-f]+) /.exec(last.mark)?.[1] ?? 'nobody'}`
    if (await place(claim, mark)) return replace(path, stale, { claim, dead })
    const other = await read(claim)
    if (other === undefined || !other.isStale || dead.includes(claim)) return false
    dead.push(claim)
    last = other
  }
}

async function replace(
  path: string,
  stale: Lock,
  { claim, dead }: { readonly claim: string; readonly dead: readonly string[] },
): Promise<boolean> {
  // Who looked at the lock before it was replaced may place a claim after that: it is worth nothing.
  const isStill = (await read(path))?.mark === stale.mark
  if (isStill) await rename(claim, path)
  for (const file of isStill ? dead : [claim]) await rm(file, { force: true })
  return isStill
}

/** A file that has the mark from its first moment; false: there is one already. */
async function place(path: string, mark: string): Promise<boolean> {
  const part = `${path}.${randomUUID()}`
  await writeFile(part, mark, { flag: 'wx', mode: 0o644 })
  try {
    await link(part, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(part, { force: true })
  }
}

/** Undefined: there is none. */
async function read(path: string): Promise<Lock | undefined> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    // Of one file: the next one may have the name already.
    const [mark, { mtimeMs }] = await Promise.all([file.readFile('utf8'), file.stat()])
    const ageMs = Date.now() - mtimeMs
    const [pid, , host] = mark.trimEnd().split(' ')
    // Of another container's processes none is to be seen here.
    const isGone = host === hostIdentity() && !isAlive(Number(pid))
    return { mark, isStale: ageMs > staleAfterMs || (ageMs > 1000 && isGone) }
  } finally {
    await file.close()
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
