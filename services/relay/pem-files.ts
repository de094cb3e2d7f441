import { readFile, stat } from 'node:fs/promises'

interface Kept {
  readonly text: string
  readonly mtimeMs: number
}

/** Certificates and keys by path, read again when the file has changed. */
export class PemFiles {
  readonly #kept = new Map<string, Kept>()

  async read(path: string): Promise<string> {
    const { mtimeMs } = await stat(path)
    const kept = this.#kept.get(path)
    if (kept?.mtimeMs === mtimeMs) return kept.text
    const text = await readFile(path, 'utf8')
    this.#kept.set(path, { text, mtimeMs })
    return text
  }
}
