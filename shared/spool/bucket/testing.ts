import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

import S3rver from 's3rver'

import { openBucketSpool, openBucketVolume } from './bucket-spool.ts'
import type { BucketSpool, BucketSpoolOptions } from './bucket-spool.ts'
import type { BucketVolume } from './bucket-volume.ts'
import { openS3Store } from './s3-store.ts'
import type { BucketAddress } from './s3-store.ts'
import type { ObjectStore } from './object-store.ts'

/** An S3 server in this process, with one bucket. */
export interface TestBucket {
  readonly address: BucketAddress
  /** `http://127.0.0.1:40000/mail/spool`, as pipeline.conf has it. */
  readonly url: string
  readonly objects: TestObjects
  close(): Promise<void>
}

/** Starts one on a free port; it goes with the test. */
export async function testBucket(t: TestContext): Promise<TestBucket> {
  const bucket = await startTestBucket()
  t.after(() => bucket.close())
  return bucket
}

export async function startTestBucket(): Promise<TestBucket> {
  const server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: tmpdir() })
  const objects = new TestObjects('mail')
  server.store = objects
  server.context.store = objects
  const { port } = await server.run()
  server.httpServer.prependListener('request', (_request, response) => {
    response.setHeader('Date', new Date(Date.now() + objects.aheadMs).toUTCString())
  })
  const endpoint = `http://127.0.0.1:${port}`
  return {
    address: { endpoint, bucket: 'mail', prefix: 'spool/', region: 'us-east-1', credentials: testCredentials },
    url: `${endpoint}/mail/spool`,
    objects,
    async close() {
      server.httpServer.closeAllConnections()
      await server.close()
    },
  }
}

/** What s3rver knows. */
export const testCredentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }

/** A store of its own for each: one is closed with the spool that has it. */
export function storeOf({ address }: TestBucket): Promise<ObjectStore> {
  return openS3Store(address)
}

/** A folder for one host's cache. */
export async function temporaryHost(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-bucket-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A writer on that host, closed with the test. */
export async function bucketWriter(
  t: TestContext,
  bucket: TestBucket,
  cachePath: string,
  options: Partial<BucketSpoolOptions> = {},
): Promise<BucketSpool> {
  const store = options.store ?? (await storeOf(bucket))
  const spool = await openBucketSpool({
    cachePath,
    cacheBytes: 100_000_000,
    writer: 'test',
    reserveBytes: 0,
    ...options,
    store,
  })
  t.after(() => spool.close())
  return spool
}

/** The bucket as a host sees it that keeps nothing yet. */
export async function bucketVolume(
  t: TestContext,
  bucket: TestBucket,
  options: Pick<BucketSpoolOptions, 'clock'> = {},
): Promise<BucketVolume> {
  const store = await storeOf(bucket)
  const place = { cachePath: await temporaryHost(t), cacheBytes: 100_000_000 }
  const volume = await openBucketVolume(store, { ...place, ...options })
  t.after(async () => {
    await volume.close()
    store.close()
  })
  return volume
}

interface Kept {
  readonly content: Buffer
  readonly at: number
  readonly etag: string
}

interface ServedObject {
  readonly bucket: string
  readonly key: string
  readonly content: Readable | null
  readonly metadata: Readonly<Record<string, string | number>>
  readonly size: number
  readonly lastModifiedDate: Date
}

/**
 * The objects of the server, in memory. Its own keeper writes into files in place; here an object is whole or not there, as everywhere.
 * Counts requests, and does what a test wants to see survived.
 */
export class TestObjects {
  readonly #name: string
  readonly kept = new Map<string, Kept>()
  /** How often what was asked for. */
  readonly counts = { put: 0, get: 0, list: 0, remove: 0 }
  /** Listings do not show an object before this many more listings were made. */
  listingsBehind = 0
  /** Is awaited before an object is kept, with its key, and after that before it is answered; what they throw is answered with 500. */
  beforePut: (key: string) => Promise<void> | void = () => undefined
  afterPut: (key: string) => Promise<void> | void = () => undefined
  /** The clock of the store is ahead of ours. */
  aheadMs = 0
  beforeRemove: (key: string) => Promise<void> | void = () => undefined
  readonly #hidden = new Map<string, number>()

  constructor(name: string) {
    this.#name = name
  }

  /** Keys that begin so, without the prefix of the spool. */
  keys(prefix = ''): readonly string[] {
    return [...this.kept.keys()]
      .map((key) => key.replace(/^spool\//, ''))
      .filter((key) => key.startsWith(prefix))
      .sort()
  }

  async getBucket(name: string): Promise<object | null> {
    return name === this.#name ? { name, creationDate: new Date(0) } : null
  }

  async getSubresource(): Promise<null> {
    return null
  }

  async existsObject(_bucket: string, key: string): Promise<boolean> {
    return this.kept.has(key)
  }

  async getObject(bucket: string, key: string): Promise<ServedObject | null> {
    this.counts.get += 1
    const found = this.kept.get(key)
    return found === undefined
      ? null
      : served(bucket, key, found, Readable.from([found.content], { objectMode: false }))
  }

  async putObject({
    key,
    content,
  }: {
    readonly key: string
    readonly content: Buffer | Readable
  }): Promise<{ readonly size: number; readonly md5: string }> {
    const octets = Buffer.isBuffer(content) ? content : await buffer(content)
    this.counts.put += 1
    await this.beforePut(key)
    const md5 = createHash('md5').update(octets).digest('hex')
    this.kept.set(key, { content: octets, at: Date.now() + this.aheadMs, etag: JSON.stringify(md5) })
    if (this.listingsBehind > 0) this.#hidden.set(key, this.counts.list + this.listingsBehind)
    await this.afterPut(key)
    return { size: octets.length, md5 }
  }

  async deleteObject(_bucket: string, key: string): Promise<void> {
    this.counts.remove += 1
    await this.beforeRemove(key)
    this.kept.delete(key)
  }

  async listObjects(
    bucket: string,
    options: { readonly prefix?: string; readonly startAfter?: string; readonly maxKeys?: number },
  ): Promise<{
    readonly objects: readonly ServedObject[]
    readonly commonPrefixes: []
    readonly isTruncated: boolean
  }> {
    const { prefix = '', startAfter = '', maxKeys = 1_000 } = options
    this.counts.list += 1
    const keys = [...this.kept.keys()]
      .filter((key) => key.startsWith(prefix) && key > startAfter && this.counts.list > (this.#hidden.get(key) ?? 0))
      .sort()
    const objects = keys.slice(0, Math.min(maxKeys, 1_000)).flatMap((key) => {
      const found = this.kept.get(key)
      return found === undefined ? [] : [served(bucket, key, found, null)]
    })
    return { objects, commonPrefixes: [], isTruncated: keys.length > objects.length }
  }
}

function served(bucket: string, key: string, { content, at, etag }: Kept, octets: Readable | null): ServedObject {
  const modified = new Date(at)
  return {
    bucket,
    key,
    content: octets,
    metadata: { 'content-length': content.length, 'last-modified': modified.toUTCString(), etag },
    size: content.length,
    lastModifiedDate: modified,
  }
}
