import { appendFile } from 'node:fs/promises'

import type { Logger } from './log.ts'

/** Writes lines to the end of a file; `afresh`: in place of what it has. Never rejects. */
export type WriteLines = (path: string, lines: readonly string[], afresh?: boolean) => Promise<void>

/**
 * For files that no mail depends on: a disk that is full costs lines of them, nothing else. That is told once, where and why, and how many lines
 * were lost when they are written again.
 *
 * @param what these lines are, for people: `the journal`
 */
export function tellingLineWriter(what: string, log: Pick<Logger, 'warn' | 'info'>): WriteLines {
  let lost = 0
  return async (path, lines, afresh = false) => {
    // Of the lines that were lost one may be there in part: the next begins behind its end.
    const text = `${lost > 0 && !afresh ? '\n' : ''}${lines.join('')}`
    try {
      await appendFile(path, text, { flag: afresh ? 'w' : 'a' })
    } catch (error) {
      if (lost === 0) log.warn({ err: error, file: path }, `${what} cannot be written: lines are lost, mail goes on`)
      lost += lines.length
      return
    }
    if (lost > 0) log.info({ lost, file: path }, `${what} is written again`)
    lost = 0
  }
}
