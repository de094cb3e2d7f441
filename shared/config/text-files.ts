import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'

export interface TextFile {
  readonly text: string
  readonly uid: number
  /** Permission bits. */
  readonly mode: number
}

export interface TextFiles {
  /**
   * A small file, read again when it has changed (seen within a second); `undefined` when there is none.
   * @throws Error when it cannot be read, is no plain file, or is larger
   */
  read(path: string, maximumBytes: number): TextFile | undefined
  /** What a folder is like; `undefined` when there is none. */
  folder(path: string): Omit<TextFile, 'text'> | undefined
}

const recheckMs = 1000
/** More than any host has users that get mail within a second; then it begins anew. */
const maximumKnown = 10_000

interface Known {
  readonly version: string | undefined
  readonly file: TextFile | undefined
  checkedAt: number
}

interface KnownFolder {
  readonly found: Omit<TextFile, 'text'> | undefined
  readonly checkedAt: number
}

/** Includes of aliases and .forward files. As with tables, a look at an unchanged file costs one `stat` a second. */
export function openTextFiles(now: () => number): TextFiles {
  const known = new Map<string, Known>()
  const folders = new Map<string, KnownFolder>()

  function read(path: string, maximumBytes: number): TextFile | undefined {
    const before = known.get(path)
    if (before !== undefined && now() - before.checkedAt < recheckMs) return before.file
    const version = versionOf(path)
    if (before !== undefined && before.version === version) {
      before.checkedAt = now()
      return before.file
    }
    const file = version === undefined ? undefined : readText(path, maximumBytes)
    if (known.size >= maximumKnown) known.clear()
    known.set(path, { version, file, checkedAt: now() })
    return file
  }

  function folder(path: string): Omit<TextFile, 'text'> | undefined {
    const before = folders.get(path)
    if (before !== undefined && now() - before.checkedAt < recheckMs) return before.found
    const state = statSync(path, { throwIfNoEntry: false })
    const found = state?.isDirectory() === true ? { uid: state.uid, mode: state.mode & 0o7777 } : undefined
    if (folders.size >= maximumKnown) folders.clear()
    folders.set(path, { found, checkedAt: now() })
    return found
  }

  return { read, folder }
}

/** A change of owner or mode counts. */
function versionOf(path: string): string | undefined {
  const state = statSync(path, { bigint: true, throwIfNoEntry: false })
  return state === undefined ? undefined : `${state.ctimeNs}/${state.mtimeNs}/${state.size}/${state.ino}`
}

/** Owner and mode are of what was read: another file may take its name between two looks. */
function readText(path: string, maximumBytes: number): TextFile {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const state = fstatSync(file)
    if (!state.isFile()) throw new Error(`${path} is no plain file`)
    if (state.size > maximumBytes) throw new Error(`${path} is larger than ${maximumBytes} octets`)
    return { text: readFileSync(file, 'utf8'), uid: state.uid, mode: state.mode & 0o7777 }
  } finally {
    closeSync(file)
  }
}
