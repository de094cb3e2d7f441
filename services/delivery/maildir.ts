import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { chown, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { Content } from '../../shared/smtp-client/transaction.ts'
import type { Owner } from './account.ts'
import { DirectorySync } from './directory-sync.ts'
import { atRest, withLineFeeds } from './line-feeds.ts'

export interface MaildirMessage {
  /** The same for every attempt to deliver this copy. */
  readonly name: string
  readonly content: Content
  /** Epoch ms; a copy cannot have been delivered before. */
  readonly acceptedAt: number
}

/**
 * Writes messages into Maildirs. A message is visible only when it is complete and on disk, and delivering the same name
 * again changes nothing, also when a mail program has moved it to `cur` meanwhile.
 */
export class MaildirWriter {
  readonly #directories = new DirectorySync()
  readonly #known = new Set<string>()

  /**
   * Resolves when the message and its name are on disk. `present`: an earlier attempt had delivered it.
   * @param owner given when we run as root: who is to own what is made
   */
  async deliver(folder: string, message: MaildirMessage, owner?: Owner): Promise<'stored' | 'present'> {
    await this.#prepare(folder, owner)
    if (await wasMovedToCur(folder, message)) return 'present'
    const temporary = join(folder, 'tmp', `${message.name}.${randomBytes(6).toString('hex')}`)
    try {
      await writeFile(temporary, message.content, owner)
      const made = await publish(temporary, join(folder, 'new', message.name))
      await this.#directories.sync(join(folder, 'new'))
      return made
    } catch (error) {
      await unlink(temporary).catch(() => {})
      this.#known.delete(folder)
      throw error
    }
  }

  /** Makes `cur`, `new` and `tmp` where they are missing. */
  async #prepare(folder: string, owner: Owner | undefined): Promise<void> {
    if (this.#known.has(folder)) return
    const first = await mkdir(folder, { recursive: true, mode: 0o700 })
    let made = first !== undefined
    if (made && owner !== undefined) await chown(folder, owner.uid, owner.gid)
    for (const name of ['tmp', 'new', 'cur']) {
      const path = join(folder, name)
      if ((await mkdir(path, { recursive: true, mode: 0o700 })) === undefined) continue
      made = true
      if (owner !== undefined) await chown(path, owner.uid, owner.gid)
    }
    if (made) await this.#directories.sync(folder)
    for (let path = folder; first !== undefined && path !== dirname(first); path = dirname(path))
      await this.#directories.sync(dirname(path))
    this.#known.add(folder)
  }
}

/** Clocks of a file server may differ from ours by this much. */
const clockSkewMs = 5_000

/** A mail program renames to `cur/<name>:2,<flags>`, some put `,S=<size>` between; `cur` was changed then. */
async function wasMovedToCur(folder: string, { name, acceptedAt }: MaildirMessage): Promise<boolean> {
  const path = join(folder, 'cur')
  // Nothing came into `cur` since the message was accepted: no need to read it, which is what nearly always holds.
  if ((await stat(path)).mtimeMs < acceptedAt - clockSkewMs) return false
  const names = await readdir(path)
  return names.some(
    (other) => other.startsWith(name) && (other.length === name.length || /[:;!,]/.test(other[name.length] ?? '')),
  )
}

async function writeFile(path: string, content: Content, owner: Owner | undefined): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    await writeContent(file, content)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function writeContent(file: FileHandle, content: Content): Promise<void> {
  if (Array.isArray(content)) await file.writeFile(withLineFeeds(Buffer.concat(content as readonly Buffer[])))
  else for await (const chunk of atRest(content)) await file.writeFile(chunk)
}

/** Gives the finished file its name, if the name is still free. */
async function publish(temporary: string, path: string): Promise<'stored' | 'present'> {
  try {
    await link(temporary, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // File systems without hard links; rename over an equal message is as good.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EMLINK') {
      await rename(temporary, path)
      return 'stored'
    }
    if (code !== 'EEXIST') throw error
    await unlink(temporary)
    return 'present'
  }
  await unlink(temporary)
  return 'stored'
}
