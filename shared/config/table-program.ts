import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'

/** Where OpenSMTPD's packages put the programs of its tables and filters. */
export const defaultLibexec: readonly string[] = [
  '/usr/libexec/opensmtpd',
  '/usr/libexec/smtpd',
  '/usr/lib/opensmtpd',
  '/usr/local/libexec/opensmtpd',
  '/usr/local/libexec/smtpd',
]

/** Folders of `SMTPD_LIBEXEC`, divided by colons, in place of the usual ones. */
export function libexecFolders(text: string | undefined): readonly string[] {
  const folders = (text ?? '').split(':').filter((folder) => folder.startsWith('/'))
  return folders.length === 0 ? defaultLibexec : folders
}

/** The program that answers for tables of a backend, `table-NAME`; `undefined`: there is none that we may run. */
export function findTableProgram(backend: string, folders: readonly string[]): string | undefined {
  return folders.map((folder) => join(folder, `table-${backend}`)).find((path) => isProgram(path))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
