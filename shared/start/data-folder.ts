import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'

import { StartError } from './start-error.ts'

/** Makes the data folder when it is missing, and proves that it can be written to. @throws StartError */
export async function openDataFolder(path: string): Promise<string> {
  const folder = resolve(path)
  try {
    await mkdir(folder, { recursive: true, mode: 0o750 })
    await access(folder, constants.W_OK | constants.X_OK)
    return folder
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(
      `data folder ${folder} cannot be written to (${code}): make it writable for this user, or name another with -d or SLUICE_DATA`,
      {
        cause: error,
      },
    )
  }
}
