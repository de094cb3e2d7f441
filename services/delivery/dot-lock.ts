import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

import type { Reply } from '../../shared/mail/reply.ts'
import { SmtpError } from '../../shared/mail/reply.ts'

/** Longer than any delivery may take: whoever made such an old lock is gone. */
const staleMs = 300_000
const waitMs = 30_000
const pollMs = 50

const locked: Reply = { code: 451, enhanced: '4.2.0', text: 'The mailbox is locked by another program' }

/**
 * Locks of mailbox files, `<file>.lock`, the one kind that programs on all file systems honour (also by NFS) and that Node can
 * make: it has no call for fcntl or flock, so a program that takes only those is not kept away. Those of this process that
 * want the same file wait in line, without touching the disk.
 */
export class DotLocks {
  readonly #lines = new Map<string, Promise<void>>()

  /**
   * Runs `work` while nobody else writes to the file.
   * @throws SmtpError 451 when another program keeps the lock too long
   */
  async hold<Result>(path: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const before = this.#lines.get(path) ?? Promise.resolve()
    const turn = before.then(async () => {
      const lock = await acquire(`${path}.lock`, signal)
      try {
        return await work()
      } finally {
        await unlink(lock).catch(() => {})
      }
    })
    const line = turn.then(
      () => {},
      () => {},
    )
    this.#lines.set(path, line)
    try {
      return await turn
    } finally {
      if (this.#lines.get(path) === line) this.#lines.delete(path)
    }
  }
}

/** Returns the path of the lock that is ours now. */
async function acquire(path: string, signal: AbortSignal): Promise<string> {
  const until = Date.now() + waitMs
  for (;;) {
    signal.throwIfAborted()
    if (await create(path)) return path
    const stale = await staleLock(path)
    if (stale !== undefined) await remove(path, stale)
    else if (Date.now() > until) throw new SmtpError(locked)
    else await delay(pollMs, undefined, { signal })
  }
}

async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644)
    try {
      await file.writeFile(`${process.pid}:${hostname()}\n`)
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** The inode of a lock whose process was of this host and is gone, or that is older than any delivery. */
async function staleLock(path: string): Promise<number | undefined> {
  try {
    const { ino, mtimeMs } = await stat(path)
    const [, pid, host] = /^(\d+):(.+)\n$/.exec(await readFile(path, 'utf8')) ?? []
    const gone = host === hostname() && !isRunning(Number(pid), mtimeMs)
    return gone || Date.now() - mtimeMs > staleMs ? ino : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Another may have removed the stale lock and made his own in the meantime: his is put back. */
async function remove(path: string, stale: number): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await stat(aside)).ino !== stale) await link(aside, path).catch(() => {})
  await unlink(aside)
}

function isRunning(pid: number, lockedAt: number): boolean {
  // A container starts with the same number again: what was locked before our start is of a process before us.
  if (pid === process.pid) return lockedAt >= Date.now() - process.uptime() * 1000
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
