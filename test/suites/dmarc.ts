import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DnsRecords, DnsTrouble, DnsZone } from '../support/dns.ts'
import type { Outcome } from './suite.ts'
import { resultOf, withCrlf, withEngine } from './suite.ts'

/** What Rspamd's symbols say, as result and policy of ours. */
const wantedOf: ReadonlyMap<string, string> = new Map([
  ['DMARC_POLICY_ALLOW', 'pass'],
  ['DMARC_POLICY_SOFTFAIL', 'fail none'],
  ['DMARC_POLICY_QUARANTINE', 'fail quarantine'],
  ['DMARC_POLICY_REJECT', 'fail reject'],
  ['DMARC_DNSFAIL', 'temperror'],
  ['DMARC_NA', 'none'],
])

/** Rspamd's functional tests of DMARC: its messages, the names of merged-local.conf. */
export async function runDmarc(folder: string): Promise<readonly Outcome[]> {
  const script = await readFile(join(folder, 'cases/001_merged/115_dmarc.robot'), 'utf8')
  const zone = zoneOf(await readFile(join(folder, 'configs/merged-local.conf'), 'latin1'))
  return withEngine(zone, async (judge) => {
    const outcomes: Outcome[] = []
    for (const text of script.split(/\n(?=DMARC )/).slice(1)) {
      const of = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1]
      const file = of(/messages\/(\S+)/) ?? ''
      const from = of(/From=(\S+)/)
      const { findings } = await judge({
        content: withCrlf(await readFile(join(folder, 'messages', file), 'latin1')),
        origin: { kind: 'smtp', address: of(/IP=(\S+)/) ?? '127.0.0.1', helo: 'mail.sender.test' },
        reversePath: from ?? null,
      })
      const [finding = ''] = findings.dmarc
      const policy = /policy\.dmarc=(\w+)/.exec(finding)?.[1] ?? ''
      const result = resultOf(finding)
      outcomes.push({
        name: text.split('\n')[0] ?? '',
        wanted: [wantedOf.get(of(/Expect Symbol\s+(\S+)/) ?? '') ?? ''],
        got: result === 'fail' ? `fail ${policy}` : result,
        note: `${finding}, ${file}`,
      })
    }
    return outcomes
  })
}

function zoneOf(text: string): DnsZone {
  const zone: Record<string, DnsRecords | DnsTrouble> = {}
  for (const [entry] of text.matchAll(/\{[^{}]*?name\s*=\s*"[^{}]*\}/g)) {
    const of = (pattern: RegExp): string => pattern.exec(entry)?.[1] ?? ''
    const name = of(/name\s*=\s*"([^"]+)"/).toLowerCase()
    const type = of(/type\s*=\s*"([^"]+)"/).toUpperCase()
    const code = of(/rcode\s*=\s*["']([^"']+)["']/)
    const replies = [...of(/replies\s*=\s*\[([^\]]*)\]/s).matchAll(/"([^"]*)"/g)].map(([, reply = '']) => reply)
    if (code === 'timeout' || code === 'servfail' || code === 'dnssec') zone[`${name} ${type}`] = 'SERVFAIL'
    else if (code === '' && (type === 'TXT' || type === 'A' || type === 'AAAA'))
      zone[name] = { ...(typeof zone[name] === 'object' ? zone[name] : {}), [type]: replies }
  }
  return zone
}
