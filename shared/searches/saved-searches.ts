import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { withFileLock } from '../file-lock.ts'
import { OperationError } from '../operate/operation-error.ts'
import { putFile } from '../start/put-file.ts'
import { parseQuery } from '../store/query.ts'

/** A search under a name, everybody's or one's own. */
export interface SavedSearch {
  readonly name: string
  readonly query: string
  /** Whose it is alone; absent: everybody's. */
  readonly owner?: string
  /** Who wrote it last, and when, epoch ms. */
  readonly by: string
  readonly at: number
}

/** Which one: names compare without case, and everybody's are others than one's own. */
export type SearchKey = Pick<SavedSearch, 'name' | 'owner'>

export const mostNameLength = 60
const mostSearches = 500

/** All of them, by name. Those of `<data>/searches`: Redis may lose what it has. */
export async function readSearches(dataFolder: string): Promise<readonly SavedSearch[]> {
  const text = await readFile(fileOf(dataFolder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]'
    throw error
  })
  return (JSON.parse(text) as readonly SavedSearch[]).toSorted(
    (one, other) => one.name.localeCompare(other.name) || (one.owner ?? '').localeCompare(other.owner ?? ''),
  )
}

/** Everybody's, and those of one who looks. */
export function searchesFor(searches: readonly SavedSearch[], owner: string | undefined): readonly SavedSearch[] {
  return searches.filter((one) => one.owner === undefined || one.owner === owner)
}

/** His own before everybody's. */
export function searchNamed(
  searches: readonly SavedSearch[],
  name: string,
  owner: string | undefined,
): SavedSearch | undefined {
  const named = searchesFor(searches, owner).filter((one) => one.name.toLowerCase() === name.trim().toLowerCase())
  return named.find((one) => one.owner !== undefined) ?? named[0]
}

/** Keeps it; one of the same name is replaced. @throws OperationError, QueryError when it cannot be understood */
export async function saveSearch(dataFolder: string, search: SavedSearch): Promise<void> {
  parseQuery(search.query, search.at)
  const named = { ...search, name: checkedName(search.name) }
  await change(dataFolder, (known) => {
    const others = known.filter((one) => !isSame(one, named))
    if (others.length >= mostSearches) throw new OperationError(`there are ${mostSearches} searches: delete one first`)
    return [...others, named]
  })
}

/** @throws OperationError when there is none of the old name, or one of the new */
export async function renameSearch(dataFolder: string, key: SearchKey, name: string): Promise<void> {
  const next = { ...key, name: checkedName(name) }
  await change(dataFolder, (known) => {
    const found = existing(known, key)
    if (!isSame(key, next) && known.some((one) => isSame(one, next)))
      throw new OperationError(`there is a search '${next.name}' already`)
    return [...known.filter((one) => one !== found), { ...found, name: next.name }]
  })
}

/** @throws OperationError when there is none */
export async function deleteSearch(dataFolder: string, key: SearchKey): Promise<void> {
  await change(dataFolder, (known) => {
    const found = existing(known, key)
    return known.filter((one) => one !== found)
  })
}

function existing(known: readonly SavedSearch[], key: SearchKey): SavedSearch {
  const found = known.find((one) => isSame(one, key))
  if (found === undefined) throw new OperationError(`there is no search '${key.name}'`)
  return found
}

function isSame(one: SearchKey, other: SearchKey): boolean {
  return one.owner === other.owner && one.name.toLowerCase() === other.name.trim().toLowerCase()
}

function checkedName(text: string): string {
  const name = text.trim()
  if (name === '' || name.length > mostNameLength || /[\u0000-\u001f\u007f]/.test(name))
    throw new OperationError(`a search has a name of at most ${mostNameLength} characters, in one line`)
  return name
}

async function change(
  dataFolder: string,
  next: (known: readonly SavedSearch[]) => readonly SavedSearch[],
): Promise<void> {
  const path = fileOf(dataFolder)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await withFileLock(`${path}.lock`, async () => {
    const changed = next(await readSearches(dataFolder))
    await putFile(path, `${JSON.stringify(changed, undefined, 2)}\n`, 0o600)
  })
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'searches', 'saved.json')
}
