import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, lstat, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

import type { Reply } from '../../shared/mail/reply.ts'
import { SmtpError } from '../../shared/mail/reply.ts'

/** Longer than any delivery may take: whoever made such an old lock is gone. */
const staleMs = 300_000
const waitMs = 30_000
const pollMs = 50

const locked: Reply = { code: 451, enhanced: '4.2.0', text: 'The mailbox is locked by another program' }

/** A lock that is ours. */
export interface Lock {
  /** A process of ours died in the middle of a message, and nobody has written to the mailbox since. */
  readonly unfinished?: Unfinished
  /** From here on the mailbox holds what is not finished: told to whoever finds the lock of this process when that is dead. */
  noteStart(size: number): Promise<void>
}

export interface Unfinished {
  /** Octets before that message. */
  readonly start: number
  /** Of the file when the lock was broken; another size or time now: somebody has written to it. */
  readonly size: number
  readonly mtimeMs: number
}

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
  async hold<Result>(path: string, signal: AbortSignal, work: (lock: Lock) => Promise<Result>): Promise<Result> {
    const before = this.#lines.get(path) ?? Promise.resolve()
    const turn = before.then(async () => {
      const lock = await acquire(path, signal)
      try {
        return await work(lock)
      } finally {
        await release(lock)
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

interface HeldLock extends Lock {
  readonly path: string
  readonly file: FileHandle
}

async function acquire(mailbox: string, signal: AbortSignal): Promise<HeldLock> {
  const path = `${mailbox}.lock`
  const until = Date.now() + waitMs
  let unfinished: Unfinished | undefined
  for (;;) {
    signal.throwIfAborted()
    const file = await create(path)
    if (file !== undefined) return heldLock(path, file, unfinished)
    const stale = await staleLock(path)
    if (stale !== undefined) {
      // While the old lock is there nobody writes.
      unfinished = await unfinishedIn(mailbox, stale)
      await remove(path, stale.inode)
    } else if (Date.now() > until) throw new SmtpError(locked)
    else await delay(pollMs, undefined, { signal })
  }
}

function heldLock(path: string, file: FileHandle, unfinished: Unfinished | undefined): HeldLock {
  return {
    path,
    file,
    noteStart: async (size) => {
      await file.writeFile(`${size}\n`)
    },
    ...(unfinished === undefined ? {} : { unfinished }),
  }
}

/** What was noted goes first: a lock that cannot be removed must not undo a message that is finished. */
async function release({ path, file }: HeldLock): Promise<void> {
  await file.truncate(ownMark().length).catch(() => {})
  await file.close()
  await unlink(path).catch(() => {})
}

async function create(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  }
  try {
    await file.writeFile(ownMark())
    return file
  } catch (error) {
    await file.close()
    await unlink(path).catch(() => {})
    throw error
  }
}

function ownMark(): string {
  return `${process.pid}:${hostname()}\n`
}

interface StaleLock {
  readonly inode: number
  /** Of a process of ours that is gone: what it noted. */
  readonly start?: number
}

/** A lock whose process was of this host and is gone, or that is older than any delivery. */
async function staleLock(path: string): Promise<StaleLock | undefined> {
  try {
    const { ino: inode, mtimeMs, uid } = await stat(path)
    const [, pid, host, start] = /^(\d+):(.+)\n(?:(\d+)\n)?$/.exec(await readFile(path, 'utf8')) ?? []
    const gone = host === hostname() && !isRunning(Number(pid), mtimeMs)
    if (!gone) return Date.now() - mtimeMs > staleMs ? { inode } : undefined
    // In a folder that all may write to, a stranger's lock could tell us to shorten somebody's mailbox.
    return start !== undefined && uid === process.getuid?.() ? { inode, start: Number(start) } : { inode }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function unfinishedIn(mailbox: string, { start }: StaleLock): Promise<Unfinished | undefined> {
  if (start === undefined) return undefined
  try {
    const { size, mtimeMs } = await lstat(mailbox)
    return { start, size, mtimeMs }
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
