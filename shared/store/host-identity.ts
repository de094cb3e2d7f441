import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Names a data folder in a store that several hosts write: made at random once, and kept in the folder of the journal, so that it moves
 * with it to another machine or container, as the journal does whose positions it stands for.
 */
export function journalIdentity(folder: string): string {
  const known = readIdentity(folder)
  if (known !== undefined) return known
  mkdirSync(folder, { recursive: true })
  const part = `${fileOf(folder)}.${randomUUID()}`
  writeFileSync(part, `${randomUUID()}\n`, { flush: true })
  try {
    linkSync(part, fileOf(folder))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(part)
  }
  return readIdentity(folder) ?? journalIdentity(folder)
}

/** Absent: no ledger wrote from here yet. */
export function readIdentity(folder: string): string | undefined {
  try {
    const [line = ''] = readFileSync(fileOf(folder), 'utf8').split('\n')
    return line === '' ? undefined : line
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

function fileOf(folder: string): string {
  return join(folder, 'identity')
}
