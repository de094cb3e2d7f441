import { readFile } from 'node:fs/promises'

import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import type { DnsRecord } from '../../shared/dkim/dns-record.ts'
import { keyInUse, pendingKey, readSuccessors, withSuccessors } from '../../shared/dkim/successors.ts'
import type { NamedKey, Successor } from '../../shared/dkim/successors.ts'
import type { Configuration, DkimKey } from '../../shared/config/model.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'

export const dkimRecordCommand: Command = {
  words: ['dkim', 'record'],
  operands: [{ name: 'DOMAIN', required: false }],
  summary: 'the TXT record that publishes the DKIM key, for a zone file',
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const { configuration } = await loadPlace(invocation)
  const domain = operands[0]?.toLowerCase()
  const keys = keysFor(configuration, domain)
  if (keys.length === 0)
    throw new ControlError(`pipeline.conf names no DKIM key${domain === undefined ? '' : ` for ${domain}`}`)
  const records: DnsRecord[] = []
  for (const key of keys) {
    const successors = await successorsOf(key)
    const pending = pendingKey(key, successors)
    for (const one of [keyInUse(key, successors), ...(pending === undefined ? [] : [pending])])
      records.push(await recordOf(one, domain ?? configuration.hostname))
  }
  if (options.has('json')) terminal.print(JSON.stringify(records, undefined, 2))
  else for (const record of records) terminal.print(record.zoneLine)
  return exitCodes.done
}

/** Those that sign and seal for a domain, or all; one that does both is there once. */
export function keysFor({ pipeline }: Configuration, domain: string | undefined): readonly DkimKey[] {
  const { dkim, arcSeal } = pipeline
  const keys = [...dkim, ...(arcSeal === undefined ? [] : [arcSeal])].filter(
    (key) => domain === undefined || key.domain === '*' || key.domain === domain,
  )
  return [...new Map(keys.map((key) => [`${key.domain} ${key.selector} ${key.keyFile}`, key])).values()]
}

/** The record of the key that signs for this line of pipeline.conf; a key for every domain gets that of `fallback`. */
export async function recordOfKey(key: DkimKey, fallback: string): Promise<DnsRecord> {
  return recordOf(keyInUse(key, await successorsOf(key)), fallback)
}

/** @throws ControlError */
export async function successorsOf(key: DkimKey): Promise<readonly Successor[]> {
  try {
    return await readSuccessors(key)
  } catch (error) {
    throw new ControlError((error as Error).message, exitCodes.failed, { cause: error })
  }
}

/** While `change` runs no signer writes down what it has seen. @throws ControlError */
export async function changeSuccessors<T>(
  key: DkimKey,
  change: (successors: readonly Successor[]) => Promise<T>,
): Promise<T> {
  try {
    return await withSuccessors(key, change)
  } catch (error) {
    if (error instanceof ControlError || error instanceof UsageError) throw error
    throw new ControlError((error as Error).message, exitCodes.failed, { cause: error })
  }
}

/** @throws ControlError when it is no key that can be read */
export async function recordOf({ keyFile, selector, domain }: NamedKey, fallback: string): Promise<DnsRecord> {
  try {
    return dkimRecord(await readFile(keyFile, 'utf8'), selector, domain === '*' ? fallback : domain)
  } catch (error) {
    throw new ControlError(`cannot use ${keyFile}: ${(error as Error).message}`, exitCodes.failed, { cause: error })
  }
}
