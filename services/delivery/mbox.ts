import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { ReversePath } from '../../shared/mail/address.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { Content } from '../../shared/smtp-client/transaction.ts'
import { isRoot } from './account.ts'
import type { Owner } from './account.ts'
import { DirectorySync } from './directory-sync.ts'
import { DotLocks } from './dot-lock.ts'
import type { Lock, Unfinished } from './dot-lock.ts'
import { fromLine, quotedFromLines } from './from-lines.ts'
import { atRest } from './line-feeds.ts'

export interface MboxMessage {
  readonly reversePath: ReversePath
  /** Epoch ms, for the `From ` line. */
  readonly receivedAt: number
  readonly content: Content
}

const badFile = new SmtpError({ code: 451, enhanced: '4.3.5', text: 'The mailbox is no file of its user alone' })

/** Appends messages to mbox files. */
export class MboxWriter {
  readonly #directories = new DirectorySync()
  readonly #locks = new DotLocks()

  /**
   * Resolves when the message is on disk. What fails half-way is taken back: the file is as long as before. What a process that was
   * killed left half-way is taken back by the next one that writes to the file: that message is delivered again.
   * @param owner given when we run as root: whose file it must be, and is when it is made
   * @throws SmtpError when the mailbox is locked, or is not a plain file of its owner
   */
  async append(path: string, message: MboxMessage, signal: AbortSignal, owner?: Owner): Promise<void> {
    await this.#locks.hold(path, signal, async (lock) => {
      const { file, made } = await openMailbox(path, owner)
      try {
        await appendTo(file, message, signal, lock)
      } finally {
        await file.close()
      }
      if (made) await this.#directories.sync(dirname(path))
    })
  }
}

const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/** A link is never followed and a file of somebody else never written to: a user may have put it there for root to fall over. */
async function openMailbox(path: string, owner: Owner | undefined): Promise<{ file: FileHandle; made: boolean }> {
  const made = await createMailbox(path, owner)
  if (made !== undefined) return { file: made, made: true }
  const file = await openExisting(path)
  const state = await file.stat()
  const foreign = isRoot() && owner !== undefined && state.uid !== owner.uid
  if (state.isFile() && state.nlink === 1 && !foreign) return { file, made: false }
  await file.close()
  throw badFile
}

async function createMailbox(path: string, owner: Owner | undefined): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  }
  try {
    if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') throw badFile
    throw error
  }
}

async function appendTo(file: FileHandle, message: MboxMessage, signal: AbortSignal, lock: Lock): Promise<void> {
  if (lock.unfinished !== undefined) await takeBack(file, lock.unfinished)
  const { size } = await file.stat()
  await lock.noteStart(size)
  try {
    await file.writeFile((await missingEnd(file, size)) + fromLine(message.reversePath, message.receivedAt))
    for await (const chunk of quotedFromLines(atRest(message.content))) {
      signal.throwIfAborted()
      await file.writeFile(chunk)
    }
    await file.datasync()
  } catch (error) {
    await file.truncate(size)
    throw error
  }
}

/** Only what nobody has touched since, and what is no more than one message: the `From ` lines in a message of ours are quoted. */
async function takeBack(file: FileHandle, { start, size, mtimeMs }: Unfinished): Promise<void> {
  const now = await file.stat()
  if (now.size !== size || now.mtimeMs !== mtimeMs || start >= size) return
  if (await isOneMessage(file, start)) await file.truncate(start)
}

async function isOneMessage(file: FileHandle, start: number): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(7), 0, 7, start)
  const begin = buffer.toString('latin1', 0, bytesRead).replace(/^\n{1,2}/, '')
  if (!begin.startsWith('From ') && !'From '.startsWith(begin)) return false
  let count = 0
  let line = '\n'
  for await (const chunk of file.createReadStream({ start, autoClose: false, encoding: 'latin1' })) {
    const text = line + String(chunk)
    count += text.split('\nFrom ').length - 1
    line = text.slice(-'\nFrom'.length)
  }
  return count <= 1
}

/** Somebody before us was broken off, or leaves out the empty line: our `From ` line must begin a message all the same. */
async function missingEnd(file: FileHandle, size: number): Promise<string> {
  if (size === 0) return ''
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, Math.max(0, size - 2))
  const end = buffer.toString('latin1', 0, bytesRead)
  if (end === '\n\n') return ''
  return end.endsWith('\n') ? '\n' : '\n\n'
}
