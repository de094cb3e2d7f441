import { keysFor, noKey, recordOf, successorsOf } from '../../shared/dkim/configured-keys.ts'
import type { DnsRecord } from '../../shared/dkim/dns-record.ts'
import { keyInUse, pendingKey } from '../../shared/dkim/successors.ts'
import { exitCodes } from './command.ts'
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
  if (keys.length === 0) throw noKey(domain)
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
