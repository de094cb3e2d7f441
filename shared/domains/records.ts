import { createHash } from 'node:crypto'

import type { DnsRecord } from '../dkim/dns-record.ts'
import type { CheckName } from '../doctor/finding.ts'
import { dmarcLine, mxLine, reverseLine, spfLine, tlsReportLine } from '../doctor/zone-lines.ts'

/** What a domain's records are made of. */
export interface RecordFacts {
  readonly domain: string
  readonly hostname: string
  /** Those that sign, and those that are to sign. */
  readonly dkim: readonly DnsRecord[]
  /** SHA-256 of the public keys of the certificates that strangers are shown, hex. */
  readonly certificateKeys: readonly string[]
  /** That the world sees this host by, as far as they are known. */
  readonly addresses: readonly string[]
  /** Where strangers bring mail. */
  readonly smtpPort: number
}

export interface RecordToPublish {
  /** The check that looks after it. */
  readonly check: CheckName
  /** `DKIM main` */
  readonly title: string
  /** For a zone file. */
  readonly line: string
  /** One sentence on what it is good for, or when to leave it out. */
  readonly why: string
}

/** All records of a domain, those first without which no mail comes. */
export function recordsToPublish(facts: RecordFacts): readonly RecordToPublish[] {
  const { domain, hostname } = facts
  return [
    { check: 'mx', title: 'MX', line: mxLine(domain, hostname), why: 'Mail for the domain comes here.' },
    ...addressRecords(facts),
    {
      check: 'spf',
      title: 'SPF',
      line: spfLine(domain, hostname),
      why: 'Its mail comes from its MX and from this host. Add whoever else sends in its name.',
    },
    ...facts.dkim.map((record) => ({
      check: 'dkim' as const,
      title: `DKIM ${record.name.slice(0, record.name.indexOf('._domainkey.'))}`,
      line: record.zoneLine,
      why: 'Others check our signatures by it.',
    })),
    {
      check: 'dmarc',
      title: 'DMARC',
      line: dmarcLine(domain),
      why: 'What others do with mail in its name that neither SPF nor DKIM proves; begin with p=none where more than this host sends.',
    },
    ...policyRecords(facts),
    {
      check: 'tls-rpt',
      title: 'TLS-RPT',
      line: tlsReportLine(domain),
      why: 'Others report to postmaster when TLS on the way here fails.',
    },
    ...tlsaRecords(facts),
  ]
}

/** The text of `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (RFC 8461 §3.2): mail comes by checked TLS to this host or not at all. */
export function policyText(hostname: string): string {
  return `version: STSv1\nmode: enforce\nmx: ${hostname}\nmax_age: 604800\n`
}

function addressRecords({ hostname, addresses }: RecordFacts): readonly RecordToPublish[] {
  const known = addresses.length === 0 ? ['ADDRESS'] : addresses
  return known.flatMap((address) => [
    {
      check: 'address' as const,
      title: address.includes(':') ? 'AAAA' : 'A',
      line: `${hostname}. IN ${address.includes(':') ? 'AAAA' : 'A'} ${address}`,
      why: 'The name of this host leads to it.',
    },
    {
      check: 'reverse' as const,
      title: 'PTR',
      line: reverseLine(address, hostname),
      why: 'Many take no mail of an address without a name.',
    },
  ])
}

/** Its id is another as soon as the text is (RFC 8461 §3.1). */
function policyRecords({ domain, hostname }: RecordFacts): readonly RecordToPublish[] {
  const id = createHash('sha256').update(policyText(hostname)).digest('hex').slice(0, 16)
  return [
    {
      check: 'mta-sts',
      title: 'MTA-STS',
      line: `_mta-sts.${domain}. IN TXT "v=STSv1; id=${id}"`,
      why: `Others send by checked TLS only. It counts once the policy below is at https://mta-sts.${domain}/.well-known/mta-sts.txt.`,
    },
  ]
}

/** RFC 7672 §3.1.1: usage 3, the public key, SHA-256; it holds for as long as the key does, also over renewals with the same key. */
function tlsaRecords({ hostname, certificateKeys, smtpPort }: RecordFacts): readonly RecordToPublish[] {
  return certificateKeys.map((key) => ({
    check: 'tlsa' as const,
    title: 'TLSA',
    line: `_${smtpPort}._tcp.${hostname}. IN TLSA 3 1 1 ${key}`,
    why: 'Pins the key of our certificate. Only in a zone that is signed (DNSSEC), and renewed before the key changes.',
  }))
}
