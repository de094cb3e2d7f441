import { randomBytes } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** What every process of this data folder looks at each second, in other containers too. */
export function requestPath(dataFolder: string): string {
  return join(dataFolder, 'run', 'reload')
}

/** Asks all processes of the data folder to reload; the request stands in their heartbeats when they have. */
export async function requestReload(dataFolder: string): Promise<string> {
  const path = requestPath(dataFolder)
  const request = randomBytes(8).toString('hex')
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.${process.pid}`, request)
  await rename(`${path}.${process.pid}`, path)
  return request
}
