import { appendFile, mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from './clock.ts'
import { withFileLock } from './file-lock.ts'
import type { Logger } from './log.ts'

/** Something an operator did or tried: who, when, from where, what. */
export interface AuditEntry {
  /** Epoch ms. */
  readonly at: number
  readonly by: string
  /** Address the request came from. */
  readonly from: string
  /** `sign in`, `remove message`, ... */
  readonly action: string
  /** Message id or queue. */
  readonly about?: string
  readonly outcome: 'done' | 'refused'
  /** Why it was refused, or what came of it. */
  readonly detail?: string
}

/**
 * What operators did, in the log and in `<data>/audit/`: the file that is written to and the one before it, 4 MiB each.
 * Several processes may write to it.
 */
export interface Audit {
  record(entry: Omit<AuditEntry, 'at'>): void
  /** The last ones, newest first. */
  last(count: number): Promise<readonly AuditEntry[]>
  /** The last ones that have the word somewhere, in any case, newest first; all that is kept is gone through. */
  find(word: string, count: number): Promise<readonly AuditEntry[]>
  /** Resolves when all entries so far are with the operating system. */
  close(): Promise<void>
}

const fileLimitBytes = 4 * 1024 * 1024
const longestText = 500
/** An entry has about 150 octets. */
const tailBytes = 256 * 1024

export async function openAudit(dataFolder: string, { log, clock }: { log: Logger; clock: Clock }): Promise<Audit> {
  const folder = join(dataFolder, 'audit')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const [current, previous] = [join(folder, 'audit.ndjson'), join(folder, 'audit.1.ndjson')]
  let writing: Promise<void> = Promise.resolve()

  async function write(line: string): Promise<void> {
    if (await isFull()) await withFileLock(`${current}.lock`, turn).catch(() => undefined)
    await appendFile(current, line, { mode: 0o600 })
  }

  async function isFull(): Promise<boolean> {
    const found = await stat(current).catch(() => undefined)
    return found !== undefined && found.size > fileLimitBytes
  }

  /** One process alone: a second one would put the new file in place of the full one. */
  async function turn(): Promise<void> {
    if (await isFull()) await rename(current, previous)
  }

  return {
    record({ about, detail, ...given }) {
      const fields = {
        ...given,
        ...(about === undefined ? {} : { about: clipped(about) }),
        ...(detail === undefined ? {} : { detail: clipped(detail) }),
      }
      const entry: AuditEntry = { at: clock.now(), ...fields }
      log.info({ event: 'audit', ...fields }, 'audit')
      writing = writing.then(() =>
        write(`${JSON.stringify(entry)}\n`).catch((error: unknown) => {
          log.error({ err: error }, 'the audit log on disk has a gap')
        }),
      )
    },
    async last(count) {
      await writing
      const newest = (await tailOf(current)).toReversed()
      if (newest.length >= count) return newest.slice(0, count)
      return [...newest, ...(await tailOf(previous)).toReversed()].slice(0, count)
    },
    async find(word, count) {
      await writing
      const found: AuditEntry[] = []
      const [wanted, isPlain] = [word.toLowerCase(), /^[\w .@:/-]*$/.test(word)]
      for (const path of [current, previous]) {
        const text = await readFile(path, 'utf8').catch(() => '')
        for (const line of text.split('\n').toReversed()) {
          // Told apart before it is parsed, where the word stands in JSON as it is.
          if (isPlain && !line.toLowerCase().includes(wanted)) continue
          if (found.length >= count) return found
          found.push(...parseLine(line).filter((entry) => has(entry, wanted)))
        }
      }
      return found
    },
    close: () => writing,
  }
}

/** Nobody pushes out what others did by words without end. */
function clipped(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}...` : text
}

async function tailOf(path: string): Promise<readonly AuditEntry[]> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return []
  try {
    const { size } = await file.stat()
    const start = Math.max(0, size - tailBytes)
    const buffer = Buffer.alloc(size - start)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start)
    const lines = buffer.subarray(0, bytesRead).toString('utf8').split('\n')
    return (start > 0 ? lines.slice(1) : lines).flatMap(parseLine)
  } finally {
    await file.close()
  }
}

function has({ by, from, action, about = '', outcome, detail = '' }: AuditEntry, word: string): boolean {
  return [by, from, action, about, outcome, detail].some((text) => text.toLowerCase().includes(word))
}

/** Nothing for a line that a crash cut. */
function parseLine(line: string): readonly AuditEntry[] {
  try {
    const entry: unknown = JSON.parse(line)
    return isEntry(entry) ? [entry] : []
  } catch {
    return []
  }
}

function isEntry(value: unknown): value is AuditEntry {
  if (typeof value !== 'object' || value === null) return false
  const { at, by, from, action, outcome } = value as Partial<Record<keyof AuditEntry, unknown>>
  return typeof at === 'number' && [by, from, action, outcome].every((field) => typeof field === 'string')
}
