import type { Clock } from '../clock.ts'
import type { Keyring } from './keyring.ts'
import type { RecordReader, RecordReaderOptions } from './record-reader.ts'
import type { OutcomeLogFile, SpoolListing } from './spool-files.ts'
import type { Spool } from './spool.ts'

/** Where the files of a spool lie: a folder, or a bucket. Paths are those below the spool, `<writer>/<sequence>.msg`. */
export interface SpoolVolume {
  /** For people: the folder's path, or `s3://bucket/prefix`. */
  readonly name: string
  /** The folder, where files can be moved and grow in place; absent for a bucket. */
  readonly folder?: string
  /** Nothing was ever stored here. */
  isEmpty(): Promise<boolean>
  list(): Promise<SpoolListing>
  /** Only the outcome logs; does not go through moved records. */
  listOutcomeLogs(): Promise<readonly OutcomeLogFile[]>
  /** Runs `use` with the open file, which holds at least what the last listing told; `undefined` when there is no such file. */
  withFile<T>(file: string, use: (fd: number) => Promise<T>): Promise<T | undefined>
  /** These will be read one after the other: what is far is fetched together. */
  prepare(files: readonly string[]): Promise<void>
  /** `undefined` when there is no such file. */
  sizeOf(file: string): Promise<number | undefined>
  /** `undefined` when there is no such file. */
  stat(file: string): Promise<FileStat | undefined>
  /** Deletes a file; that it is missing is no error. */
  remove(file: string): Promise<void>
  /** What was removed so far is gone for good, also after a power cut. */
  syncRemoved(listing: SpoolListing): Promise<void>
  isWriterAlive(writer: string, clock: Clock): Promise<boolean>
  /** From here on this writer acknowledges nothing more. What it acknowledged before is visible. */
  declareDead(writer: string): Promise<void>
  /** Forgets a writer of whom nothing is left; false when there is something. */
  removeWriter(writer: string): Promise<boolean>
  /** Removes what was begun and given up by who is gone, when nobody wrote it for so long. */
  removeUnfinished(unfinishedMs: number, clock: Clock, onStep: (step: string) => void | Promise<void>): Promise<void>
  /** Names of the keys that ever wrote here. */
  readonly keys: KeyNames
  reader(options: RecordReaderOptions): RecordReader
  /** Lets go of what it holds open; files stay. */
  close(): Promise<void>
}

export interface FileStat {
  readonly size: number
  /** When it was written last. */
  readonly mtimeMs: number
}

export interface KeyNames {
  list(): Promise<readonly string[]>
  /** Resolves when the name is on disk. */
  add(id: string): Promise<void>
  remove(id: string): Promise<void>
}

/** A spool that is open for writing, and what readers that go through all of it need. */
export interface OpenedSpool extends Spool {
  readonly volume: SpoolVolume
  readonly keyring: Keyring
  /** Damages seen by this process since it opened the spool. */
  readonly damageCount: number
  /** Rejects with what keeps it from being written, as far as is known without writing. */
  check(): Promise<void>
}
