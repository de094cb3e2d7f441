import { parseSegmentPath } from '../segment-name.ts'
import type { OutcomeLogFile, SpoolListing, WriterListing } from '../spool-files.ts'
import type { FileStat } from '../volume.ts'
import { partsStayMs } from './bucket-log.ts'
import { alivePrefix, deadPrefix, parseKey } from './keys.ts'
import type { Listing } from './object-store.ts'

/** A file of the spool as a listing of the bucket tells it. */
export interface BucketFile extends FileStat {
  /** Of an outcome log that is not whole yet: where its parts begin, without gaps. */
  readonly parts?: readonly number[]
}

/** The files of the spool among the objects. Of an outcome log that is whole its parts do not matter any more. */
export function filesOf({ objects }: Pick<Listing, 'objects'>): ReadonlyMap<string, BucketFile> {
  const files = new Map<string, BucketFile>()
  for (const { key, size, writtenAt } of objects) {
    const parsed = parseKey(key)
    if (parsed === undefined) continue
    const { file } = parsed
    // The store tells whole seconds: a file is not older than what it holds.
    const mtimeMs = writtenAt + 999
    if (parsed.kind === 'file') {
      files.set(file, { size, mtimeMs })
      continue
    }
    const known = files.get(file)
    // Behind a gap nothing was acknowledged: a part is put when the one before it is stored.
    if (known === undefined ? parsed.offset > 0 : known.parts === undefined || known.size !== parsed.offset) continue
    files.set(file, { size: parsed.offset + size, mtimeMs, parts: [...(known?.parts ?? []), parsed.offset] })
  }
  return files
}

/** As of a folder. Each object is complete as soon as it is there. */
export function spoolListing(files: ReadonlyMap<string, BucketFile>, marks: WriterMarks): SpoolListing {
  const writers = new Map<string, WriterListing['files'][number][]>()
  for (const name of [...marks.alive.keys(), ...marks.dead]) writers.set(name, [])
  for (const file of files.keys()) {
    const name = parseSegmentPath(file)
    if (name === undefined) continue
    const own = writers.get(name.writer) ?? []
    own.push(name)
    writers.set(name.writer, own)
  }
  const listed = [...writers].map(([name, own]) => ({
    name,
    hasAlive: marks.alive.has(name) && !marks.dead.has(name),
    segmentsAreComplete: true,
    files: own.sort((one, other) => one.sequence - other.sequence),
  }))
  const alive = new Set(listed.filter(({ hasAlive }) => hasAlive).map(({ name }) => name))
  return { writers: listed, relocated: [], outcomeLogs: outcomeLogsOf(files, (writer) => alive.has(writer)) }
}

/** The last one of a writer may grow while he is alive and it has parts. Not told who is alive, all are taken to be. */
export function outcomeLogsOf(
  files: ReadonlyMap<string, BucketFile>,
  isAlive: (writer: string) => boolean = () => true,
): readonly OutcomeLogFile[] {
  const logs = [...files].flatMap(([path, { parts }]) => {
    const name = parseSegmentPath(path)
    return name?.extension === 'out' ? [{ path, name, isWhole: parts === undefined }] : []
  })
  const last = new Map<string, number>()
  for (const { name } of logs) last.set(name.writer, Math.max(name.sequence, last.get(name.writer) ?? 0))
  return logs.map(({ path, name, isWhole }) => ({
    path,
    origin: path,
    isClosed: isWhole || !isAlive(name.writer) || name.sequence < (last.get(name.writer) ?? 0),
  }))
}

export interface WriterMarks {
  /** When they put their heartbeat last, by the clock of the store. */
  readonly alive: ReadonlyMap<string, number>
  readonly dead: ReadonlySet<string>
  /** The store's time. */
  readonly at: number
}

export function marksOf({ objects, at }: Listing): WriterMarks {
  const alive = new Map<string, number>()
  const dead = new Set<string>()
  for (const { key, writtenAt } of objects) {
    if (key.startsWith(alivePrefix)) alive.set(key.slice(alivePrefix.length), writtenAt)
    else if (key.startsWith(deadPrefix)) dead.add(key.slice(deadPrefix.length))
  }
  return { alive, dead, at }
}

/** A part behind a gap may be seen before the one in front of it, where a listing lags. */
const strayPartsStayMs = 3_600_000

/**
 * Parts of outcome logs that were whole long before: their writer ended before it deleted them. And parts that no log has: what deleted the
 * log was stopped halfway.
 */
export function leftPartsIn({ objects, at }: Listing, files: ReadonlyMap<string, BucketFile>): readonly string[] {
  return objects.flatMap(({ key, writtenAt }) => {
    const parsed = parseKey(key)
    if (parsed?.kind !== 'part') return []
    const log = files.get(parsed.file)
    if (log?.parts?.includes(parsed.offset) === true) return []
    const isLeft = log === undefined || log.parts !== undefined
    return at - (isLeft ? writtenAt : log.mtimeMs) >= (isLeft ? strayPartsStayMs : partsStayMs) ? [key] : []
  })
}
