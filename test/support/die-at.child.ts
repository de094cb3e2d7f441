import fs, { readlinkSync, unlinkSync } from 'node:fs'
import promises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'

/** Steps of a delivery at which a process can be told to die: around what makes a copy, or its outcome, durable. */
export type DyingStep =
  /** A Maildir: the file is in `tmp`, on disk. */
  | 'copy written'
  /** A Maildir: the file has its name in `new`; the folder is not synced yet. */
  | 'copy named'
  /** An mbox file: the message is behind the others, on disk. */
  | 'copy appended'
  /** An mbox file: the `From ` line is there, the message is not. */
  | 'copy begun'
  /** The next hop has said 250, and nothing is known of it on this side. */
  | 'outcome unwritten'
  /** The outcome is on disk, the job is not done. */
  | 'outcome written'

/** The file that orders it, in the folder SLUICE_TEST_DIE_AT: it is gone when the order is carried out. */
export function orderOf(service: string, step: DyingStep): string {
  return `${service} ${step}`
}

/**
 * Loaded into processes of the product (`nodeArguments` of MailSystem). Ends the process as SIGKILL does, exactly at the step that a file
 * in the folder SLUICE_TEST_DIE_AT names, once.
 */
const orders = process.env['SLUICE_TEST_DIE_AT']
if (orders !== undefined) await armed(orders)

async function armed(folder: string): Promise<void> {
  const service = process.argv.at(-1) ?? ''
  const dieAt = (step: DyingStep): void => {
    try {
      unlinkSync(join(folder, orderOf(service, step)))
    } catch {
      return
    }
    process.kill(process.pid, 'SIGKILL')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }
  watchOutcomes(dieAt)
  await watchMailboxes(dieAt)
  syncBuiltinESMExports()
}

function watchOutcomes(dieAt: (step: DyingStep) => void): void {
  const { writev } = fs
  const watched = (fd: number, ...rest: readonly unknown[]): void => {
    const written = rest.at(-1) as (...results: unknown[]) => void
    const isOutcome = pathOf(fd).endsWith('.out')
    if (isOutcome) dieAt('outcome unwritten')
    const then = (...results: unknown[]): void => {
      if (isOutcome) dieAt('outcome written')
      written(...results)
    }
    Reflect.apply(writev, fs, [fd, ...rest.slice(0, -1), then])
  }
  fs.writev = watched as typeof writev
}

async function watchMailboxes(dieAt: (step: DyingStep) => void): Promise<void> {
  const { link } = promises
  promises.link = async (from, to) => {
    await link(from, to)
    if (basename(join(String(to), '..')) === 'new') dieAt('copy named')
  }
  const probe = await promises.open('/dev/null')
  const handle = Object.getPrototypeOf(probe) as FileHandle
  await probe.close()
  const { datasync, writeFile } = handle
  handle.datasync = async function (this: FileHandle) {
    await Reflect.apply(datasync, this, [])
    if (isMbox(pathOf(this.fd))) dieAt('copy appended')
    else if (basename(join(pathOf(this.fd), '..')) === 'tmp') dieAt('copy written')
  }
  handle.writeFile = async function (this: FileHandle, ...words: Parameters<typeof writeFile>) {
    await Reflect.apply(writeFile, this, words)
    if (isMbox(pathOf(this.fd))) dieAt('copy begun')
  }
}

function isMbox(path: string): boolean {
  return path.endsWith('.mbox') || basename(join(path, '..')) === 'mboxes'
}

function pathOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
