import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whether there is no file that can be read. */
export async function isMissing(path: string): Promise<boolean> {
  return (await readFile(path).catch(() => undefined)) === undefined
}

/** Complete or not at all, also after a power cut, and when several write at once: containers on one volume may have the same process id. */
export async function putFile(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const part = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(part, text, { mode, flag: 'wx', flush: true })
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
