import type { Readable } from 'node:stream'

/**
 * What a spool needs of a bucket. Objects are whole or not there, and what was put is seen at once by `get` and by `list`: so AWS,
 * MinIO, Ceph and R2 say they behave. Times are those of the store's own clock, epoch ms.
 */
export interface ObjectStore {
  /** For people: `s3://bucket/prefix`. */
  readonly name: string
  /** Resolves when the object is stored for good. @throws SpoolFullError */
  put(key: string, body: ObjectBody): Promise<PutResult>
  /** `undefined` when there is no such object. */
  get(key: string): Promise<Readable | undefined>
  /** All objects whose keys begin so, in the order of their keys. */
  list(prefix: string): Promise<Listing>
  /** Deletes; that one is missing is no error. */
  remove(keys: readonly string[]): Promise<void>
  close(): void
}

/** Octets, or a file of so many. */
export type ObjectBody = Buffer | { readonly path: string; readonly size: number }

export interface PutResult {
  /** When the store answered. */
  readonly at: number
}

export interface StoredObject {
  readonly key: string
  readonly size: number
  readonly writtenAt: number
}

export interface Listing {
  readonly objects: readonly StoredObject[]
  /** When the store answered first. */
  readonly at: number
}

/** The bucket cannot be used as it should be; the message says what to do about it. */
export class BucketError extends Error {
  override readonly name = 'BucketError'
}
