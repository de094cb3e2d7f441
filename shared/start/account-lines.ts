import { readFile } from 'node:fs/promises'

import { withFileLock } from '../file-lock.ts'
import { putFile } from './put-file.ts'
import { StartError } from './start-error.ts'

/** A file with an account on each line, and comments. */
export interface AccountFile {
  readonly path: string
  /** For messages: `mailbox`, `operator`. */
  readonly what: string
  readonly mode: number
  /** The account of a line that is none's own comment. */
  nameOf(line: string): string
}

/** Names, in the order of the file. @throws StartError when it cannot be read */
export async function listAccounts(file: AccountFile): Promise<readonly string[]> {
  return (await linesOf(file)).flatMap((line) => nameIn(file, line) ?? [])
}

/** @throws StartError when it is there already */
export async function addAccount(file: AccountFile, name: string, line: string): Promise<void> {
  await withLines(file, (lines) => {
    if (lines.some((one) => nameIn(file, one) === name)) throw new StartError(`${name} is there already: ${file.what}`)
    return [...lines, line]
  })
}

/** @param change the line as it is to be; undefined: it goes. @throws StartError when there is no such account */
export async function changeAccount(
  file: AccountFile,
  name: string,
  change: (line: string) => string | undefined,
): Promise<void> {
  await withLines(file, (lines) => {
    if (!lines.some((line) => nameIn(file, line) === name)) throw new StartError(`there is no ${file.what} ${name}`)
    return lines.flatMap((line) => (nameIn(file, line) === name ? (change(line) ?? []) : [line]))
  })
}

function nameIn(file: AccountFile, line: string): string | undefined {
  return line.startsWith('#') ? undefined : file.nameOf(line)
}

async function linesOf({ path }: AccountFile): Promise<readonly string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '')
  } catch (error) {
    throw new StartError(`cannot read ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** One after the other: none takes the change of another back. */
async function withLines(file: AccountFile, change: (lines: readonly string[]) => readonly string[]): Promise<void> {
  const { path, mode } = file
  // Tells that there is no such file before it makes a lock beside it.
  await linesOf(file)
  await withFileLock(`${path}.lock`, async () => {
    const lines = change(await linesOf(file))
    await putFile(path, lines.map((line) => `${line}\n`).join(''), mode)
  })
}
