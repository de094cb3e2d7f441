import { readFile, stat } from 'node:fs/promises'

import type { Configuration, DkimKey } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { keysFor, neededOf, successorsOf } from './configured-keys.ts'
import { dkimRecord } from './dns-record.ts'
import type { DnsRecord } from './dns-record.ts'
import { readPrivateKey } from './private-key.ts'
import type { KeyType } from './public-key.ts'
import { keyInUse } from './successors.ts'
import type { NamedKey } from './successors.ts'

/** A key of a line of pipeline.conf, or one that came after it. */
export interface KeyLife {
  readonly domain: string
  readonly selector: string
  readonly keyFile: string
  readonly type: KeyType
  readonly bits: number
  /** Of the one that pipeline.conf names when its file was written last. */
  readonly madeAt: number
  /** `new`: waits for its record; `old`: was replaced. */
  readonly use: 'signs' | 'new' | 'old'
  readonly record: DnsRecord
  /** Of an old one: its record is needed until then. */
  readonly neededUntil?: number
  /** Its line of pipeline.conf names it: its file is not removed. */
  readonly isNamed: boolean
}

/**
 * The keys of a line of pipeline.conf, in the order they were made; a key for every domain gets the record of `fallback`.
 * @param neededMs for how long a key that was replaced is needed
 * @throws OperationError when one cannot be read
 */
export async function keyLives(key: DkimKey, fallback: string, neededMs: number): Promise<readonly KeyLife[]> {
  const successors = await successorsOf(key)
  const used = keyInUse(key, successors)
  const made = successors.map((one) => ({ ...one, domain: key.domain }))
  return Promise.all(
    [{ ...key, madeAt: undefined }, ...made].map(async (one, index): Promise<KeyLife> => {
      const next = successors[index]?.visibleAt
      const use = one.selector === used.selector ? 'signs' : next === undefined ? 'new' : 'old'
      return {
        ...(await readKey(one, fallback)),
        ...(one.madeAt === undefined ? {} : { madeAt: one.madeAt }),
        use,
        ...(use === 'old' && next !== undefined ? { neededUntil: next + neededMs } : {}),
        isNamed: index === 0,
      }
    }),
  )
}

/** Of all keys for a domain; those that cannot be read are told, one sentence each. */
export async function livesOf(
  configuration: Configuration,
  domain: string,
): Promise<{ readonly lives: readonly KeyLife[]; readonly troubles: readonly string[] }> {
  const keys = keysFor(configuration, domain)
  const read = await Promise.allSettled(keys.map((key) => keyLives(key, domain, neededOf(configuration))))
  return {
    lives: read.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
    troubles: read.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
  }
}

async function readKey(
  { domain, selector, keyFile }: NamedKey,
  fallback: string,
): Promise<Omit<KeyLife, 'use' | 'isNamed'>> {
  const signed = domain === '*' ? fallback : domain
  try {
    const [pem, { mtimeMs }] = await Promise.all([readFile(keyFile, 'utf8'), stat(keyFile)])
    const { type, key } = readPrivateKey(pem)
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 256
    return {
      domain: signed,
      selector,
      keyFile,
      type,
      bits,
      madeAt: Math.trunc(mtimeMs),
      record: dkimRecord(pem, selector, signed),
    }
  } catch (error) {
    throw new OperationError(`cannot use ${keyFile}: ${(error as Error).message}`, { cause: error })
  }
}
