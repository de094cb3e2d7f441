import { readFile } from 'node:fs/promises'

import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import type { DnsRecord } from '../../shared/dkim/dns-record.ts'
import type { DkimKey } from '../../shared/config/model.ts'
import { ControlError, exitCodes } from './command.ts'
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
  const { dkim, arcSeal } = configuration.pipeline
  const keys = [...dkim, ...(arcSeal === undefined ? [] : [arcSeal])].filter(
    (key) => domain === undefined || key.domain === '*' || key.domain === domain,
  )
  if (keys.length === 0)
    throw new ControlError(`pipeline.conf names no DKIM key${domain === undefined ? '' : ` for ${domain}`}`)
  const records = await Promise.all(keys.map((key) => recordOfKey(key, domain ?? configuration.hostname)))
  if (options.has('json')) terminal.print(JSON.stringify(records, undefined, 2))
  else for (const record of records) terminal.print(record.zoneLine)
  return exitCodes.done
}

/** A key for every domain gets the record of `fallback`. */
export async function recordOfKey(key: DkimKey, fallback: string): Promise<DnsRecord> {
  try {
    return dkimRecord(await readFile(key.keyFile, 'utf8'), key.selector, key.domain === '*' ? fallback : key.domain)
  } catch (error) {
    throw new ControlError(`cannot use ${key.keyFile}: ${(error as Error).message}`, exitCodes.failed, { cause: error })
  }
}
