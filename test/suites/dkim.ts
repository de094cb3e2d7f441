import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DnsRecords, DnsTrouble, DnsZone } from '../support/dns.ts'
import type { Outcome } from './suite.ts'
import { resultOf, withCrlf, withEngine } from './suite.ts'

/** DomainKeys (RFC 4870) and drafts of DKIM that Mail::DKIM does not verify either. */
const otherProtocols = /_dk_|^dk_|ietf00/

/** Pass or not: the messages of Mail::DKIM's t/corpus, the results of its t/verifier.t, the keys of its t/FAKE_DNS.dat. */
export async function runDkim(folder: string, minKeyBits: number): Promise<readonly Outcome[]> {
  const script = await readFile(join(folder, 'verifier.t'), 'latin1')
  const zone = zoneOf(await readFile(join(folder, 'FAKE_DNS.dat'), 'latin1'))
  const cases = [...script.matchAll(/test_email\(\s*"([^"]+)",\s*"([a-z]+)"/g)]
  return withEngine(
    zone,
    async (judge) => {
      const outcomes: Outcome[] = []
      for (const [, name = '', result = ''] of cases) {
        if (otherProtocols.test(name)) continue
        const { findings } = await judge({
          content: withCrlf(await readFile(join(folder, 'corpus', name), 'latin1')),
          origin: { kind: 'smtp', address: '192.0.2.7', helo: 'mail.sender.test' },
          reversePath: 'jane@sender.test',
        })
        const passes = findings.dkim.some((finding) => resultOf(finding) === 'pass')
        outcomes.push({
          name,
          wanted: [result === 'pass' ? 'pass' : 'no pass'],
          got: passes ? 'pass' : 'no pass',
          note: findings.dkim.join(' | '),
        })
      }
      return outcomes
    },
    minKeyBits,
  )
}

function zoneOf(text: string): DnsZone {
  const zone: Record<string, DnsRecords | DnsTrouble> = {}
  for (const line of text.split(/\r?\n/)) {
    const [, name, value = ''] = /^([^\s#;]\S*)\s+(.*)$/.exec(line) ?? []
    if (name === undefined || value === 'NXDOMAIN') continue
    zone[name.toLowerCase()] = value.startsWith('~~') ? 'SERVFAIL' : { TXT: [value] }
  }
  return zone
}
