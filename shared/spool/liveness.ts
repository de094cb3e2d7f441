import { readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { hostIdentity, startTicks } from '../process-identity.ts'
import { hasCode } from './free-space.ts'
import { aliveFile } from './segment-name.ts'
import { syncDirectory } from './sync-directory.ts'

/**
 * A writer is alive while its folder holds the file `alive`, touched every 10 s. It is dead
 * - when the file is gone: the writer closed, or was declared dead;
 * - on the host and in the process namespace of the reader: when no process has its id and start time;
 * - elsewhere (another container or host, or no /proc): when the file was not touched for 60 s.
 * Whoever takes a dead writer's files away declares it dead first (`declareDead`). A writer that was only asleep finds
 * its file gone after its next write and before it acknowledges, and starts a new folder.
 */
export const heartbeatMs = 10_000
export const deadAfterMs = 60_000

/** Who writes, in the file `alive`. */
export interface WriterIdentity {
  readonly pid: number
  /** Names the kernel's uptime and the process namespace: process ids of one compare. */
  readonly host: string
  /** In the kernel's ticks; absent without /proc. */
  readonly startedAtTicks?: string
}

export function ownIdentity(): WriterIdentity {
  const startedAtTicks = startTicks(process.pid)
  return { pid: process.pid, host: hostIdentity(), ...(startedAtTicks !== undefined && { startedAtTicks }) }
}

/** Is the writer of this folder alive? */
export async function isWriterAlive(folder: string, clock: Clock): Promise<boolean> {
  const path = join(folder, aliveFile)
  try {
    const [text, stats] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const identity = parseIdentity(text)
    if (identity?.startedAtTicks !== undefined && identity.host === hostIdentity()) {
      return startTicks(identity.pid) === identity.startedAtTicks
    }
    return clock.now() - stats.mtimeMs < deadAfterMs
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

/** From here on the writer of this folder acknowledges nothing more. What it acknowledged before is visible. */
export async function declareDead(folder: string): Promise<void> {
  try {
    await rename(join(folder, aliveFile), join(folder, 'dead'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  await syncDirectory(folder)
}

function parseIdentity(text: string): WriterIdentity | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isIdentity(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function isIdentity(value: unknown): value is WriterIdentity {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'host' in value &&
    typeof value.host === 'string'
  )
}
