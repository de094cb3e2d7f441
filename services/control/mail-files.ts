import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { ControlError, exitCodes } from './command.ts'
import type { Invocation } from './command.ts'

/** Longer messages are not read to the end. */
const mostBytes = 16 * 1024 * 1024
const separator = Buffer.from('\nFrom ')

/** The messages that the command's operand names. @throws ControlError */
export async function* readMails({ operands }: Invocation, stdin: Readable): AsyncGenerator<Buffer> {
  const [from = '-'] = operands
  try {
    yield* mailsAt(from, stdin)
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      throw new ControlError(`cannot read ${from}: ${error.message}`, exitCodes.failed, { cause: error })
    throw error
  }
}

/**
 * The messages in a file (one message, or an mbox), in a Maildir, in all files of a folder, or on standard input (`-`).
 * @throws Error of the file system
 */
export async function* mailsAt(path: string, stdin: Readable): AsyncGenerator<Buffer> {
  if (path === '-') return yield* mailsIn(stdin)
  if (!(await stat(path)).isDirectory()) return yield* mailsIn(createReadStream(path))
  for (const file of await filesIn(path)) yield* mailsIn(createReadStream(file))
}

/** Of all that `mailsAt` would read, as it lies there; undefined for standard input. @throws ControlError */
export async function mailBytesAt(path: string): Promise<number | undefined> {
  if (path === '-') return undefined
  const state = await stat(path).catch((error: Error) => {
    throw new ControlError(`cannot read ${path}: ${error.message}`, exitCodes.failed, { cause: error })
  })
  if (!state.isDirectory()) return state.size
  let bytes = 0
  for (const file of await filesIn(path)) bytes += (await stat(file)).size
  return bytes
}

/** Of a Maildir those in `cur` and `new`, not those of the folders in it; of other folders all but hidden ones. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const isMaildir = entries.some((entry) => entry.isDirectory() && entry.name === 'cur')
  const wanted = entries
    .filter((entry) => (isMaildir ? entry.name === 'cur' || entry.name === 'new' : !entry.name.startsWith('.')))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
  const found: string[] = []
  for (const entry of wanted) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) found.push(...(await filesIn(path)))
    else if (entry.isFile()) found.push(path)
  }
  return found
}

/** What begins with `From ` is an mbox: each message ends before the next empty line with `From ` behind it. */
async function* mailsIn(stream: Readable): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0)
  let searched = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk])
    if (!isMbox(pending)) {
      if (pending.length > mostBytes) break
      continue
    }
    for (let end = endIn(pending, searched); end >= 0; end = endIn(pending, 0)) {
      yield ofMbox(pending.subarray(0, end))
      pending = pending.subarray(end + 1)
    }
    searched = Math.max(0, pending.length - separator.length)
  }
  if (pending.length > 0) yield isMbox(pending) ? ofMbox(pending) : pending
}

function isMbox(octets: Buffer): boolean {
  return octets.subarray(0, 5).toString('latin1') === 'From '
}

/** The line feed before the next message; -1 when it is not there yet. */
function endIn(octets: Buffer, searched: number): number {
  for (let from = Math.max(1, searched); ;) {
    const found = octets.indexOf(separator, from)
    if (found < 0) return -1
    const before = octets[found - 1] === 0x0d ? found - 2 : found - 1
    if (octets[before] === 0x0a) return found
    from = found + 1
  }
}

/** Without its first line and the quoting of `From `. */
function ofMbox(octets: Buffer): Buffer {
  const text = octets.toString('latin1', octets.indexOf(0x0a) + 1)
  return Buffer.from(text.replaceAll(/^>(>*From )/gm, '$1'), 'latin1')
}
