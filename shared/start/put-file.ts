import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whether there is no file that can be read. */
export async function isMissing(path: string): Promise<boolean> {
  return (await readFile(path).catch(() => undefined)) === undefined
}

/** Complete or not at all: two processes that start at once read whole files. */
export async function putFile(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const part = `${path}.${process.pid}`
  await writeFile(part, text, { mode })
  await rename(part, path)
}
