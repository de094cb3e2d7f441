import { chmod, chown, readFile, rm, stat } from 'node:fs/promises'

import type { DkimKey } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { recordOf } from './configured-keys.ts'
import { generateKey } from './generate-key.ts'
import { readPrivateKey } from './private-key.ts'
import type { KeyType } from './public-key.ts'
import { keyInUse, listPath, pendingKey, successorFile, withSuccessors, writeSuccessors } from './successors.ts'
import type { NamedKey, Successor } from './successors.ts'

export interface Rotation {
  /** Of the new key; absent: that of the old one and the date. */
  readonly selector?: string
  /** Absent: that of the old key. */
  readonly type?: KeyType
  /** For how long a key that was replaced is needed; those of before go. */
  readonly neededMs: number
  readonly nowAt: number
}

export interface Rotated {
  readonly made: NamedKey
  /** Selector of the key that signs until the record of `made` is there. */
  readonly old: string
  /** Otherwise it was made before, and still waits. */
  readonly isNew: boolean
}

/**
 * Makes the key that takes the place of the one in use, beside it and readable by whom that one is; it signs as soon as a signer has seen
 * its record. While one waits there is no other.
 * @throws OperationError
 */
export function rotateKey(key: DkimKey, rotation: Rotation): Promise<Rotated> {
  return change(key, async (successors) => {
    const waiting = pendingKey(key, successors)
    const made = waiting ?? (await succeed(key, successors, rotation))
    return { made, old: keyInUse(key, successors).selector, isNew: waiting === undefined }
  })
}

/**
 * Removes a key that was replaced, file and all, before the next rotation would. The one that pipeline.conf names stays.
 * @throws OperationError when it signs, waits for its record, or is needed for what it signed
 */
export function retireKey(key: DkimKey, selector: string, sinceAt: number): Promise<void> {
  return change(key, async (successors) => {
    const index = successors.findIndex((one) => one.selector === selector)
    const old = successors[index]
    if (selector === key.selector)
      throw new OperationError(`pipeline.conf names the key "${selector}": name another one there first`)
    if (old === undefined) throw new OperationError(`there is no key with the selector "${selector}"`)
    const replacedAt = successors[index + 1]?.visibleAt
    if (replacedAt === undefined)
      throw new OperationError(`the key "${selector}" was not replaced: it signs, or waits for its record`)
    if (replacedAt > sinceAt)
      throw new OperationError(`the record of "${selector}" is needed for what it signed: try again later`)
    await writeSuccessors(
      key,
      successors.filter((one) => one !== old),
    )
    await likeOther(listPath(key), key.keyFile)
    await rm(old.keyFile, { force: true })
  })
}

/** The selector that `rotateKey` would take: the old one and the date. */
export function nextSelector(key: NamedKey, successors: readonly Successor[], nowAt: number): string {
  const taken = takenBy(key, successors)
  const dated = `${key.selector}-${new Date(nowAt).toISOString().slice(0, 10).replaceAll('-', '')}`
  for (let count = 1; ; count += 1) {
    const selector = count === 1 ? dated : `${dated}-${count}`
    if (!taken.has(selector)) return selector
  }
}

/** The key in PEM. @throws OperationError when there is a file already, or it cannot be written */
export async function makeKey(file: string, type: KeyType): Promise<string> {
  try {
    return await generateKey(file, type)
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const why = isThere ? `${file} is there already: a key is never replaced` : (error as Error).message
    throw new OperationError(why, { cause: error })
  }
}

/** RFC 6376 §3.1: labels of a domain name. */
export function isSelector(text: string): boolean {
  return /^(?!.{64})[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(text)
}

/** While it runs no signer writes down what it has seen. @throws OperationError */
async function change<T>(key: DkimKey, work: (successors: readonly Successor[]) => Promise<T>): Promise<T> {
  try {
    return await withSuccessors(key, work)
  } catch (error) {
    if (error instanceof OperationError) throw error
    throw new OperationError((error as Error).message, { cause: error })
  }
}

/** The key is on disk before anything names it. */
async function succeed(key: DkimKey, successors: readonly Successor[], rotation: Rotation): Promise<NamedKey> {
  const { nowAt } = rotation
  const selector = rotation.selector ?? nextSelector(key, successors, nowAt)
  if (takenBy(key, successors).has(selector))
    throw new OperationError(`there is a key with the selector "${selector}" already`)
  const record = await recordOf(keyInUse(key, successors), key.domain)
  const type = rotation.type ?? (/; k=ed25519;/.test(record.value) ? 'ed25519' : 'rsa')
  const keyFile = successorFile(key, selector)
  await makeKey(keyFile, type).catch(async (error: unknown) => {
    // A rotation that broke off today left it, and nothing names it yet.
    if (rotation.selector !== undefined || !(await isKey(keyFile, type))) throw error
  })
  await likeOther(keyFile, key.keyFile)
  const kept = neededSuccessors(successors, nowAt - rotation.neededMs)
  await writeSuccessors(key, [...kept, { selector, keyFile, madeAt: nowAt }])
  await likeOther(listPath(key), key.keyFile)
  for (const old of successors) if (!kept.includes(old)) await rm(old.keyFile, { force: true })
  return { domain: key.domain, selector, keyFile }
}

function takenBy(key: NamedKey, successors: readonly Successor[]): ReadonlySet<string> {
  return new Set([key.selector, ...successors.map((one) => one.selector)])
}

async function isKey(file: string, type: KeyType): Promise<boolean> {
  try {
    return readPrivateKey(await readFile(file, 'utf8')).type === type
  } catch {
    return false
  }
}

/** Without those that were replaced long ago. */
function neededSuccessors(successors: readonly Successor[], sinceAt: number): readonly Successor[] {
  return successors.filter((_, index) => {
    const replacedAt = successors[index + 1]?.visibleAt
    return replacedAt === undefined || replacedAt > sinceAt
  })
}

/** The signer reads it as it reads the old one: same owner, same mode. */
async function likeOther(file: string, other: string): Promise<void> {
  const { uid, gid, mode } = await stat(other)
  await chmod(file, mode & 0o777)
  if (process.getuid?.() === 0) await chown(file, uid, gid)
}
