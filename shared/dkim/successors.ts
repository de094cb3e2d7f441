import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { withFileLock } from '../file-lock.ts'

/** The key that pipeline.conf names for a domain. */
export interface NamedKey {
  /** `*`: it signs for every domain, and has no successors. */
  readonly domain: string
  readonly selector: string
  readonly keyFile: string
}

/** A key that was made to take the place of the one before it. */
export interface Successor {
  readonly selector: string
  readonly keyFile: string
  readonly madeAt: number
  /** When its record was seen in the DNS: it signs from then on. */
  readonly visibleAt?: number
}

/**
 * A key that was replaced is needed for this long: mail that it signed waits with us for up to `queuedMs` and for some days with others,
 * or is checked late.
 */
export function neededMs(queuedMs: number): number {
  return Math.max(7 * 86_400_000, queuedMs + 3 * 86_400_000)
}

/**
 * The successors of a key, the latest last, as the file beside it has them.
 * @throws Error when that file cannot be read: which key is in use is not known then
 */
export async function readSuccessors(key: NamedKey): Promise<readonly Successor[]> {
  if (key.domain === '*') return []
  const path = listPath(key)
  try {
    return parse(JSON.parse(await readFile(path, 'utf8')), dirname(key.keyFile))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * For who changes the list by what it says: nobody else does until `change` has ended.
 * @throws what `readSuccessors` does
 */
export function withSuccessors<T>(key: NamedKey, change: (successors: readonly Successor[]) => Promise<T>): Promise<T> {
  return withFileLock(`${listPath(key)}.lock`, async () => change(await readSuccessors(key)))
}

/** Replaces the list as a whole, on disk when this resolves. */
export async function writeSuccessors(key: NamedKey, successors: readonly Successor[]): Promise<void> {
  const path = listPath(key)
  const part = `${path}.${randomUUID()}`
  const list = successors.map(({ keyFile, ...successor }) => ({ ...successor, file: basename(keyFile) }))
  const handle = await open(part, 'w', 0o644)
  try {
    await handle.writeFile(`${JSON.stringify({ successors: list }, undefined, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, path).catch(async (error: unknown) => {
    await rm(part, { force: true })
    throw error
  })
}

/** Where the key of a successor lies. */
export function successorFile({ keyFile, domain }: NamedKey, selector: string): string {
  return `${keyFile}.${domain}.${selector}`
}

/** The list lies beside the key: a key that several domains name is replaced for each of them alone. */
export function listPath({ keyFile, domain }: NamedKey): string {
  return `${keyFile}.${domain}.successors`
}

/** The key that signs: the latest one whose record was seen, or the one that pipeline.conf names. */
export function keyInUse(key: NamedKey, successors: readonly Successor[]): NamedKey {
  const last = successors.findLast(({ visibleAt }) => visibleAt !== undefined)
  return last === undefined ? key : { domain: key.domain, selector: last.selector, keyFile: last.keyFile }
}

/** The one that waits for its record. */
export function pendingKey(key: NamedKey, successors: readonly Successor[]): NamedKey | undefined {
  const last = successors.at(-1)
  if (last === undefined || last.visibleAt !== undefined) return undefined
  return { domain: key.domain, selector: last.selector, keyFile: last.keyFile }
}

function parse(value: unknown, folder: string): readonly Successor[] {
  const list = (value as { readonly successors?: unknown } | null)?.successors
  if (!Array.isArray(list)) throw new Error('not a list of successors')
  return list.map((one: unknown) => {
    const { selector, file, madeAt, visibleAt } = one as Readonly<Record<string, unknown>>
    if (typeof selector !== 'string' || typeof file !== 'string' || typeof madeAt !== 'number')
      throw new Error('a successor without selector, file or madeAt')
    const keyFile = join(folder, basename(file))
    return { selector, keyFile, madeAt, ...(typeof visibleAt === 'number' ? { visibleAt } : {}) }
  })
}
