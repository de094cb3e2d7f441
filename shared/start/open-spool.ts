import { mkdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import type { BucketSettings, Configuration } from '../config/model.ts'
import { openBucketSpool, openBucketVolume } from '../spool/bucket/bucket-spool.ts'
import { openS3Store } from '../spool/bucket/s3-store.ts'
import type { BucketAddress, BucketCredentials } from '../spool/bucket/s3-store.ts'
import type { ObjectStore } from '../spool/bucket/object-store.ts'
import { openSpool } from '../spool/file-spool.ts'
import type { SpoolOptions } from '../spool/file-spool.ts'
import { FolderVolume } from '../spool/folder-volume.ts'
import { LiveIndex } from '../spool/live-index.ts'
import type { OpenedSpool, SpoolVolume } from '../spool/volume.ts'
import { asStartError, readSpoolKeys } from './spool-keys.ts'
import { StartError } from './start-error.ts'

export interface SpoolWhere {
  readonly configuration: Configuration
  readonly dataFolder: string
  readonly environment?: Readonly<NodeJS.ProcessEnv>
}

const maxReserveBytes = 64 * 1024 * 1024

/** The spool of this configuration as readers see it; writes nothing. */
export async function openSpoolVolume(where: SpoolWhere): Promise<SpoolVolume> {
  const { configuration, dataFolder } = where
  const bucket = configuration.pipeline.spool?.bucket
  if (bucket === undefined) return new FolderVolume(folderOf(where))
  const store = await openStore(bucket, where.environment ?? process.env)
  return openBucketVolume(store, { cachePath: cachePathOf(bucket, dataFolder), cacheBytes: bucket.cacheBytes })
}

/** Where the spool lies, for people. */
export function spoolName({ configuration, dataFolder }: SpoolWhere): string {
  return configuration.pipeline.spool?.bucket?.url ?? folderOf({ configuration, dataFolder })
}

/**
 * Opens the spool of this configuration for writing.
 * @throws StartError when its records need a key that is not there, the bucket cannot be used, or mail still lies in the folder of before
 */
export async function openConfiguredSpool(
  where: SpoolWhere,
  options: Pick<SpoolOptions, 'writer' | 'recentBytes' | 'clock' | 'onDamage'>,
): Promise<OpenedSpool> {
  const { configuration, dataFolder } = where
  const { bucket, quotaBytes } = configuration.pipeline.spool ?? {}
  const shared = {
    ...options,
    ...(quotaBytes !== undefined && { quotaBytes }),
    keyring: await readSpoolKeys(configuration),
    compression: configuration.atRest.compression,
    encryption: configuration.atRest.encryption,
  }
  try {
    if (bucket === undefined) {
      const path = folderOf(where)
      return await openSpool({ ...shared, path, reserveBytes: await reserveOf(path) })
    }
    await refuseLeftMail(join(dataFolder, 'spool'))
    const cachePath = cachePathOf(bucket, dataFolder)
    const store = await openStore(bucket, where.environment ?? process.env)
    const reserveBytes = await reserveOf(cachePath)
    return await openBucketSpool({ ...shared, store, cachePath, cacheBytes: bucket.cacheBytes, reserveBytes })
  } catch (error) {
    throw asStartError(error)
  }
}

function folderOf({ configuration, dataFolder }: SpoolWhere): string {
  return configuration.pipeline.spool?.path ?? join(dataFolder, 'spool')
}

function cachePathOf({ cachePath }: BucketSettings, dataFolder: string): string {
  return cachePath ?? join(dataFolder, 'spool-cache')
}

async function openStore(bucket: BucketSettings, environment: Readonly<NodeJS.ProcessEnv>): Promise<ObjectStore> {
  const credentials = await credentialsOf(environment)
  const address: BucketAddress = {
    ...(bucket.endpoint === undefined ? {} : { endpoint: bucket.endpoint }),
    bucket: bucket.bucket,
    prefix: bucket.prefix,
    region: bucket.region ?? environment['AWS_REGION'] ?? 'us-east-1',
    ...(credentials === undefined ? {} : { credentials }),
  }
  return openS3Store(address)
}

/** Of files, as secrets of containers are; what else there is the SDK finds by itself. @throws StartError */
async function credentialsOf(environment: Readonly<NodeJS.ProcessEnv>): Promise<BucketCredentials | undefined> {
  const idFile = environment[idVariable]
  const secretFile = environment[secretVariable]
  if (idFile === undefined && secretFile === undefined) return undefined
  if (idFile === undefined || secretFile === undefined) {
    throw new StartError(`${idVariable} and ${secretVariable} go together: set both or none`, { exitCode: 78 })
  }
  return {
    accessKeyId: await readSecret(idVariable, idFile),
    secretAccessKey: await readSecret(secretVariable, secretFile),
  }
}

const idVariable = 'AWS_ACCESS_KEY_ID_FILE'
const secretVariable = 'AWS_SECRET_ACCESS_KEY_FILE'

async function readSecret(variable: string, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new StartError(`${variable}: ${(error as Error).message}`, { cause: error, exitCode: 78 })
  }
}

/** Nobody would look at it any more. */
async function refuseLeftMail(folder: string): Promise<void> {
  const volume = new FolderVolume(folder)
  if (await volume.isEmpty()) return
  const index = await LiveIndex.open(volume)
  await index.close()
  if (index.size === 0) return
  throw new StartError(
    `${index.size} messages wait in the spool in ${folder}, and pipeline.conf names a bucket: start once without \`spool s3\` until \`npm run ctl -- spool list\` tells of none`,
    { exitCode: 78 },
  )
}

/** Free octets below which new mail is refused: 64 MiB, on a small disk a twentieth of it. */
async function reserveOf(path: string): Promise<number> {
  await mkdir(path, { recursive: true })
  const { blocks, bsize } = await statfs(path)
  return Math.min(maxReserveBytes, Math.floor((blocks * bsize) / 20))
}
