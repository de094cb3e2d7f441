import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { Logger } from './log.ts'

/** Puts a text in place of a file, whole or not at all, one after the other. Never rejects. */
export type WriteSnapshot = (path: string, text: string) => Promise<void>

/**
 * For counts in memory that are written again and again: a disk that is full costs them until it has room. That is told once, where and why,
 * and once more when they are written again.
 *
 * @param what these are, for people: `the hits of rules`
 */
export function tellingSnapshotWriter(what: string, log: Pick<Logger, 'warn' | 'info'>): WriteSnapshot {
  let isLate = false
  let writing = Promise.resolve()

  async function write(path: string, text: string): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(`${path}.part`, text)
      await rename(`${path}.part`, path)
    } catch (error) {
      if (!isLate) log.warn({ err: error, file: path }, `${what} cannot be written; mail goes on`)
      isLate = true
      return
    }
    if (isLate) log.info({ file: path }, `${what} are written again`)
    isLate = false
  }

  return (path, text) => (writing = writing.then(() => write(path, text)))
}
