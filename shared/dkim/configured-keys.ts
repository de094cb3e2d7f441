import { readFile } from 'node:fs/promises'

import type { Configuration, DkimKey } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { dkimRecord } from './dns-record.ts'
import type { DnsRecord } from './dns-record.ts'
import { keyInUse, neededMs, readSuccessors } from './successors.ts'
import type { NamedKey, Successor } from './successors.ts'

/** Those that sign and seal for a domain, or all; one that does both is there once. */
export function keysFor({ pipeline }: Configuration, domain: string | undefined): readonly DkimKey[] {
  const { dkim, arcSeal } = pipeline
  const keys = [...dkim, ...(arcSeal === undefined ? [] : [arcSeal])].filter(
    (key) => domain === undefined || key.domain === '*' || key.domain === domain,
  )
  return [...new Map(keys.map((key) => [`${key.domain} ${key.selector} ${key.keyFile}`, key])).values()]
}

/** The one key of a domain, or the one with the selector. @throws OperationError when there is none, or several */
export function chosenKey(configuration: Configuration, domain: string, selector: string | undefined): DkimKey {
  const keys = keysFor(configuration, domain)
  const own = keys.filter((key) => key.domain === domain)
  if (own.length === 0 && keys.length > 0)
    throw new OperationError(
      `the key of "dkim default same-domain" signs for every domain: it cannot be replaced in one of them; give ${domain} a line of its own`,
    )
  const matching = own.filter((key) => selector === undefined || key.selector === selector)
  const [key] = matching
  if (key === undefined) throw noKey(domain, selector)
  if (new Set(matching.map(({ keyFile }) => keyFile)).size > 1)
    throw new OperationError(`${domain} has several keys: name a selector: ${own.map((one) => one.selector).join(' ')}`)
  return key
}

/** The key of pipeline.conf with this selector, or that has a successor with it. @throws OperationError when there is none */
export async function keyWith(configuration: Configuration, domain: string, selector: string): Promise<DkimKey> {
  for (const key of keysFor(configuration, domain).filter((one) => one.domain === domain)) {
    const selectors = (await successorsOf(key)).map((one) => one.selector)
    if ([key.selector, ...selectors].includes(selector)) return key
  }
  throw noKey(domain, selector)
}

export function noKey(domain: string | undefined, selector?: string): OperationError {
  const forDomain = domain === undefined ? '' : ` for ${domain}`
  return new OperationError(
    `pipeline.conf names no DKIM key${forDomain}${selector === undefined ? '' : ` with the selector "${selector}"`}`,
  )
}

/** Milliseconds after which nothing is asked of a key that was replaced. */
export function neededOf({ queueTtlMs, actions }: Configuration): number {
  return neededMs(Math.max(queueTtlMs, ...[...actions.values()].map(({ ttlMs }) => ttlMs ?? 0)))
}

/** The record of the key that signs for this line of pipeline.conf; a key for every domain gets that of `fallback`. @throws OperationError */
export async function recordOfKey(key: DkimKey, fallback: string): Promise<DnsRecord> {
  return recordOf(keyInUse(key, await successorsOf(key)), fallback)
}

/** @throws OperationError when it is no key that can be read */
export async function recordOf({ keyFile, selector, domain }: NamedKey, fallback: string): Promise<DnsRecord> {
  try {
    return dkimRecord(await readFile(keyFile, 'utf8'), selector, domain === '*' ? fallback : domain)
  } catch (error) {
    throw new OperationError(`cannot use ${keyFile}: ${(error as Error).message}`, { cause: error })
  }
}

/** @throws OperationError */
export async function successorsOf(key: DkimKey): Promise<readonly Successor[]> {
  try {
    return await readSuccessors(key)
  } catch (error) {
    throw new OperationError((error as Error).message, { cause: error })
  }
}
