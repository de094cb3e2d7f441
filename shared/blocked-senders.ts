import { statSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { codeOf, withFileLock } from './file-lock.ts'
import type { Logger } from './log.ts'
import type { Mailbox } from './mail/address.ts'

/** A sender whose mail a recipient does not want: refused at RCPT. */
export interface BlockedSender {
  /** A mailbox, without what follows the sub-address delimiter; `*`: everybody here. */
  readonly recipient: string
  /** A mailbox, or `@domain`. */
  readonly sender: string
  /** Epoch ms. */
  readonly at: number
  readonly by: string
}

/** The newest count. */
const mostBlocked = 100_000
const lookAgainMs = 2_000
/** A list that is read at once: about a millisecond. */
const shortBytes = 65_536
/** A few milliseconds. */
const linesAtOnce = 2_000

/** From the oldest to the newest; no file is nobody. */
export async function readBlocked(dataFolder: string): Promise<readonly BlockedSender[]> {
  try {
    return parse(await readFile(fileOf(dataFolder), 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** @returns whether it is news */
export function blockSender(dataFolder: string, entry: BlockedSender): Promise<boolean> {
  return change(dataFolder, (known) => (known.some((one) => isSame(one, entry)) ? known : [...known, entry]))
}

/** @returns whether it was blocked */
export function unblockSender(
  dataFolder: string,
  entry: Pick<BlockedSender, 'recipient' | 'sender'>,
): Promise<boolean> {
  return change(dataFolder, (known) => known.filter((one) => !isSame(one, entry)))
}

/**
 * Who is blocked now, as the file says; looked at again after 2 s. A long file that has changed is read aside, in slices, while what it
 * said before holds: no session waits for it but the first one. Nothing is read while nobody is blocked.
 */
export interface BlockedSenders {
  isBlocked(recipient: Mailbox, sender: Mailbox, delimiter: string): boolean
}

export function openBlockedSenders(dataFolder: string, now: () => number, log: Pick<Logger, 'warn'>): BlockedSenders {
  const path = fileOf(dataFolder)
  let version: string | undefined
  let keys: ReadonlySet<string> = new Set()
  let lookedAt = Number.NEGATIVE_INFINITY
  let isReading = false

  function current(): ReadonlySet<string> {
    if (isReading || Math.abs(now() - lookedAt) < lookAgainMs) return keys
    lookedAt = now()
    const state = statSync(path, { throwIfNoEntry: false })
    const found = state === undefined ? '' : `${state.mtimeMs}/${state.size}/${state.ino}`
    if (found === version) return keys
    if (found === '') keys = new Set()
    else if (version !== undefined && (state?.size ?? 0) > shortBytes) {
      isReading = true
      void readAside(found)
      return keys
    } else {
      const text = readNow()
      if (text === undefined) return keys
      keys = new Set(parse(text).map(keyOf))
    }
    version = found
    return keys
  }

  function readNow(): string | undefined {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      if (version === undefined) throw error
      return tell(error)
    }
  }

  async function readAside(found: string): Promise<void> {
    try {
      keys = await keysIn(await readFile(path, 'utf8'))
      version = found
    } catch (error) {
      tell(error)
    } finally {
      isReading = false
    }
  }

  /** It is tried again at the next look. */
  function tell(error: unknown): undefined {
    log.warn({ err: error, file: path }, 'who is blocked cannot be read: what was read before holds')
  }

  return {
    isBlocked(recipient, sender, delimiter) {
      const blocked = current()
      if (blocked.size === 0) return false
      const senders = [sender.toLowerCase(), sender.slice(sender.lastIndexOf('@')).toLowerCase()]
      const recipients = [withoutTag(recipient, delimiter), '*']
      return recipients.some((to) => senders.some((from) => blocked.has(`${to} ${from}`)))
    },
  }
}

async function keysIn(text: string): Promise<ReadonlySet<string>> {
  const keys = new Set<string>()
  for (const [index, line] of text.split('\n').entries()) {
    const entry = parseLine(line)
    if (entry !== undefined) keys.add(keyOf(entry))
    if (index % linesAtOnce === linesAtOnce - 1) await setImmediate()
  }
  return keys
}

/** As an entry names a recipient: in lower case, without a sub-address. */
export function withoutTag(mailbox: Mailbox, delimiter: string): string {
  const at = mailbox.lastIndexOf('@')
  const cut = mailbox.indexOf(delimiter, 1)
  const local = cut > 0 && cut < at ? mailbox.slice(0, cut) : mailbox.slice(0, at)
  return `${local}${mailbox.slice(at)}`.toLowerCase()
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'quarantine', 'blocked')
}

async function change(
  dataFolder: string,
  next: (known: readonly BlockedSender[]) => readonly BlockedSender[],
): Promise<boolean> {
  const path = fileOf(dataFolder)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return withFileLock(`${path}.lock`, async () => {
    const known = await readBlocked(dataFolder)
    const changed = next(known)
    if (changed.length === known.length) return false
    const temporary = `${path}.${process.pid}`
    const lines = changed.slice(-mostBlocked).map((one) => `${JSON.stringify(one)}\n`)
    await writeFile(temporary, lines.join(''), { mode: 0o600 })
    await rename(temporary, path)
    return true
  })
}

function isSame(one: Pick<BlockedSender, 'recipient' | 'sender'>, other: typeof one): boolean {
  return keyOf(one) === keyOf(other)
}

function keyOf({ recipient, sender }: Pick<BlockedSender, 'recipient' | 'sender'>): string {
  return `${recipient.toLowerCase()} ${sender.toLowerCase()}`
}

/** A line that cannot be read blocks nobody. */
function parse(text: string): readonly BlockedSender[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? [])
}

function parseLine(line: string): BlockedSender | undefined {
  if (!line.endsWith('}')) return undefined
  try {
    const entry = JSON.parse(line) as BlockedSender
    return typeof entry.recipient === 'string' && typeof entry.sender === 'string' ? entry : undefined
  } catch {
    return undefined
  }
}
