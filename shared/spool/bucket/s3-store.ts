import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import type * as S3 from '@aws-sdk/client-s3'

import { SpoolFullError } from '../spool.ts'
import { BucketError } from './object-store.ts'
import type { Listing, ObjectBody, ObjectStore, PutResult, StoredObject } from './object-store.ts'

export interface BucketAddress {
  /** `https://s3.example.org`; absent: AWS. */
  readonly endpoint?: string
  readonly bucket: string
  /** Begins every key; empty, or with a slash at its end. */
  readonly prefix: string
  readonly region: string
  readonly credentials?: BucketCredentials
}

/** Absent: as the SDK finds them (environment, ~/.aws, role of the machine or the pod). */
export interface BucketCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

type Sdk = typeof S3

const connectMs = 3_000
/** Without an octet from the other side. */
const idleMs = 20_000
const putAttempts = 3
const deletedAtOnce = 1_000

/** Opens nothing yet: the first request does. The SDK is loaded here and nowhere else, so that a spool in files does without. */
export async function openS3Store(address: BucketAddress): Promise<ObjectStore> {
  const sdk = await import('@aws-sdk/client-s3')
  const { endpoint, region, credentials } = address
  const client = new sdk.S3Client({
    region,
    ...(credentials === undefined ? {} : { credentials }),
    // A name of its own for each bucket is a thing of AWS: others are asked by path.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    // Each record has checksums of its own; not all stores know those of the SDK.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: connectMs, socketTimeout: idleMs },
    maxAttempts: putAttempts,
  })
  return new S3Store(sdk, client, address)
}

class S3Store implements ObjectStore {
  readonly name: string
  readonly #sdk: Sdk
  readonly #client: S3.S3Client
  readonly #bucket: string
  readonly #prefix: string
  /** When the store answered, by the answer. */
  readonly #times = new WeakMap<object, number>()
  #isClosed = false

  constructor(sdk: Sdk, client: S3.S3Client, { bucket, prefix }: BucketAddress) {
    this.#sdk = sdk
    this.#client = client
    this.#bucket = bucket
    this.#prefix = prefix
    this.name = `s3://${bucket}/${prefix}`
    client.middlewareStack.add(
      (next) => async (request) => {
        const result = await next(request)
        const { response, output } = result
        if (typeof output === 'object') this.#times.set(output, dateOf(response))
        return result
      },
      { step: 'deserialize', priority: 'high', name: 'timeOfTheStore' },
    )
  }

  async put(key: string, body: ObjectBody): Promise<PutResult> {
    if (Buffer.isBuffer(body)) return this.#put(key, body, body.length)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#putFile(key, body.path, body.size)
      } catch (error) {
        if (attempt === putAttempts || this.#isClosed || error instanceof SpoolFullError) throw error
        await sleep(100 * 2 ** attempt)
      }
    }
  }

  async get(key: string): Promise<Readable | undefined> {
    try {
      const { Body } = await this.#client.send(
        new this.#sdk.GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key }),
      )
      return Body as Readable
    } catch (error) {
      if (isMissing(error)) return undefined
      throw this.#asError(`read ${key}`, error)
    }
  }

  async list(prefix: string): Promise<Listing> {
    const objects: StoredObject[] = []
    let at: number | undefined
    let token: string | undefined
    do {
      const page = await this.#client
        .send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        )
        .catch((error: unknown) => {
          throw this.#asError('list its objects', error)
        })
      at ??= this.#timeOf(page)
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        objects.push({ key: Key.slice(this.#prefix.length), size: Size, writtenAt: LastModified?.getTime() ?? 0 })
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
      // What is not listed would be taken for deleted.
      if (page.IsTruncated === true && token === undefined)
        throw new BucketError(`${this.name}: a listing breaks off without saying where it goes on`)
    } while (token !== undefined)
    return { objects, at }
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (let start = 0; start < keys.length; start += deletedAtOnce) {
      const Objects = keys.slice(start, start + deletedAtOnce).map((key) => ({ Key: this.#prefix + key }))
      const { Errors = [] } = await this.#client
        .send(new this.#sdk.DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }))
        .catch((error: unknown) => {
          throw this.#asError('delete objects', error)
        })
      const [first] = Errors
      if (first !== undefined) throw new BucketError(`${this.name}: ${first.Key} cannot be deleted: ${first.Message}`)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#client.destroy()
  }

  /** What the disk refuses ends the request: the SDK would wait for the rest of it, and the process end by an error nobody hears. */
  async #putFile(key: string, path: string, size: number): Promise<PutResult> {
    const octets = createReadStream(path, { highWaterMark: 256 * 1024 })
    const stop = new AbortController()
    let fault: Error | undefined
    octets.once('error', (error) => {
      fault = error
      stop.abort()
    })
    try {
      return await this.#put(key, octets, size, stop.signal)
    } catch (error) {
      throw fault ?? error
    } finally {
      octets.destroy()
    }
  }

  async #put(key: string, body: Buffer | Readable, size: number, abortSignal?: AbortSignal): Promise<PutResult> {
    try {
      const answer = await this.#client.send(
        new this.#sdk.PutObjectCommand({
          Bucket: this.#bucket,
          Key: this.#prefix + key,
          Body: body,
          ContentLength: size,
        }),
        abortSignal === undefined ? {} : { abortSignal },
      )
      return { at: this.#timeOf(answer) }
    } catch (error) {
      throw this.#asError(`store ${key}`, error)
    }
  }

  #timeOf(answer: object): number {
    const at = this.#times.get(answer)
    if (at === undefined || Number.isNaN(at))
      throw new BucketError(`${this.name} does not tell the time: no Date in its answer`)
    return at
  }

  #asError(what: string, error: unknown): Error {
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    if (isFull(error)) return new SpoolFullError(`${this.name} is full: ${name}`, { cause: error })
    const told = message === '' || message === name ? name : `${name}: ${message}`
    const hint = hints.get(name)
    return new BucketError(`${this.name}: cannot ${what}: ${told}${hint === undefined ? '' : `; ${hint}`}`, {
      cause: error,
    })
  }
}

/** What an operator does about it, by the name of the error. */
const hints: ReadonlyMap<string, string> = new Map([
  ['NoSuchBucket', 'make the bucket, or mend its name in pipeline.conf: spool s3 "..."'],
  ['AccessDenied', 'the credentials need GetObject, PutObject, DeleteObject and ListBucket'],
  ['InvalidAccessKeyId', 'mend AWS_ACCESS_KEY_ID or the file AWS_ACCESS_KEY_ID_FILE names'],
  ['SignatureDoesNotMatch', 'mend AWS_SECRET_ACCESS_KEY or the file AWS_SECRET_ACCESS_KEY_FILE names'],
  ['CredentialsProviderError', 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or their _FILE'],
  ['RequestTimeTooSkewed', 'set the clock of this host (chrony, systemd-timesyncd)'],
  ['PermanentRedirect', 'the bucket is in another region: spool s3 "..." region "..."'],
  ['AuthorizationHeaderMalformed', 'the bucket is in another region: spool s3 "..." region "..."'],
])

/** Names that stores have for it. */
const fullNames: ReadonlySet<string> = new Set(['QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'])

function isFull(error: unknown): boolean {
  return error instanceof Error && (fullNames.has(error.name) || statusOf(error) === 507)
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'NoSuchKey' || (error.name === 'NotFound' && statusOf(error) === 404))
  )
}

function statusOf(error: Error): number | undefined {
  const { $metadata: metadata } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number } }
  return metadata?.httpStatusCode
}

/** NaN when the answer has none. */
function dateOf(response: unknown): number {
  const { headers } = response as { readonly headers?: Readonly<Record<string, string>> }
  return Date.parse(headers?.['date'] ?? '')
}
