import { publicationOf } from '../dkim/publication.ts'
import { parseTagList } from '../dkim/tag-list.ts'
import type { DnsRecord } from '../dkim/dns-record.ts'
import { dmarcLine, spfLine, tlsReportLine } from './zone-lines.ts'
import { fetchPolicyText } from '../mta-sts/fetch-policy.ts'
import { namesHost, parsePolicy } from '../mta-sts/policy.ts'
import { announcedId } from '../mta-sts/record.ts'
import type { Resolver } from '../resolver.ts'
import { checkHost } from '../spf/check-host.ts'
import { isSpfRecord } from '../spf/record.ts'
import { addressesOf, plainName, recordsOf } from './check-hosts.ts'
import type { Instruments, Patient } from './examine.ts'
import type { Findings } from './finding.ts'

/** Whether the domain says that this server sends its mail (RFC 7208). */
export async function checkSpf(
  { domain, hostname }: Patient,
  { resolver }: Instruments,
  findings: Findings,
): Promise<void> {
  const answer = await resolver.txt(domain)
  if (answer.kind === 'failed') return findings.unknown(`the SPF record of ${domain}: ${answer.error.message}`)
  const records = recordsOf(answer).filter(isSpfRecord)
  const publish = spfLine(domain, hostname)
  if (records.length === 0) return findings.wrong(`${domain} has no SPF record`, publish)
  if (records.length > 1) return findings.wrong(`${domain} has ${records.length} SPF records: only one may be there`)
  const { addresses } = await addressesOf(hostname, resolver)
  for (const client of addresses) {
    const question = { client, domain, helo: hostname, receiver: hostname, atMs: Date.now() }
    const { result } = await checkHost(question, resolver)
    if (result === 'pass') findings.good(`SPF lets ${client} send mail of ${domain}`)
    else if (result === 'temperror') findings.unknown(`SPF of ${domain} for ${client}: DNS does not answer now`)
    else findings.wrong(`SPF of ${domain} says ${result} for ${client}: ${records[0] ?? ''}`, publish)
  }
  if (addresses.length === 0) findings.unknown(`${domain} has an SPF record, and ${hostname} no address to ask it for`)
}

/** Whether the keys that mail is signed with are published (RFC 6376). */
export async function checkDkim(
  { domain, dkim, dkimTroubles = [] }: Patient,
  { resolver }: Instruments,
  findings: Findings,
): Promise<void> {
  for (const trouble of dkimTroubles) findings.unknown(`a DKIM key of ${domain}: ${trouble}`)
  if (dkim.length === 0 && dkimTroubles.length === 0)
    return findings.absent(`mail of ${domain} is not signed: pipeline.conf names no DKIM key for it`)
  await Promise.all(dkim.map((record) => checkKey(record, resolver, findings)))
}

async function checkKey(record: DnsRecord, resolver: Resolver, findings: Findings): Promise<void> {
  const { name, zoneLine } = record
  const publication = await publicationOf(record, resolver)
  switch (publication.kind) {
    case 'published':
      return findings.good(`the DKIM key ${name} is published`)
    case 'missing':
      return findings.wrong(`the DKIM key ${name} is not published`, zoneLine)
    case 'another':
      return findings.wrong(`${name} has another key than the one mail is signed with`, zoneLine)
    case 'unusable':
      return findings.wrong(`the DKIM key ${name}: ${publication.reason}`, zoneLine)
    case 'unknown':
      return findings.unknown(`the DKIM key ${name}: ${publication.reason}`)
  }
}

/** Whether the domain says what to do with mail that is not proven (RFC 7489). */
export async function checkDmarc({ domain }: Patient, { resolver }: Instruments, findings: Findings): Promise<void> {
  const name = `_dmarc.${domain}`
  const publish = dmarcLine(domain)
  const answer = await resolver.txt(name)
  if (answer.kind === 'failed') return findings.unknown(`the DMARC record of ${domain}: ${answer.error.message}`)
  const records = recordsOf(answer).filter((record) => /^v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)/.test(record))
  const [record] = records
  if (record === undefined) return findings.wrong(`${domain} has no DMARC record`, publish)
  if (records.length > 1) return findings.wrong(`${domain} has ${records.length} DMARC records: none of them counts`)
  const policy = parseTagList(record)?.get('p')?.toLowerCase()
  if (!['none', 'quarantine', 'reject'].includes(policy ?? ''))
    return findings.wrong(`the DMARC record of ${domain} has no policy: ${record}`, publish)
  findings.good(
    `DMARC of ${domain} asks for "${policy}"${policy === 'none' ? ', which keeps no forged mail back' : ''}`,
  )
}

/** Whether the domain's policy for TLS can be had and names its hosts (RFC 8461). */
export async function checkMtaSts({ domain }: Patient, instruments: Instruments, findings: Findings): Promise<void> {
  const { resolver, policyPort, ca, signal } = instruments
  const answer = await resolver.txt(`_mta-sts.${domain}`)
  if (answer.kind === 'failed') return findings.unknown(`the MTA-STS record of ${domain}: ${answer.error.message}`)
  const records = recordsOf(answer).filter((record) => record.startsWith('v=STSv1'))
  if (records.length === 0) return findings.absent(`${domain} has no MTA-STS policy`)
  if (announcedId(records) === undefined)
    return findings.wrong(`the MTA-STS record of ${domain} is not valid: ${records.join(' / ')}`)
  try {
    const ask = { resolver, port: policyPort, signal, ...(ca === undefined ? {} : { ca }) }
    const policy = parsePolicy(await fetchPolicyText(domain, ask))
    const hosts = recordsOf(await resolver.mx(domain)).map(({ exchange }) => plainName(exchange))
    const unnamed = hosts.filter((host) => !namesHost(policy, host))
    if (unnamed.length > 0) findings.wrong(`the MTA-STS policy of ${domain} does not name ${unnamed.join(', ')}`)
    else findings.good(`the MTA-STS policy of ${domain} is in mode "${policy.mode}"`)
  } catch (error) {
    findings.wrong(`the MTA-STS policy of ${domain} cannot be had: ${(error as Error).message}`)
  }
}

/** Whether others tell the domain of TLS that fails on the way to it (RFC 8460 §3). */
export async function checkTlsReports({ domain }: Patient, { resolver }: Instruments, findings: Findings) {
  const publish = tlsReportLine(domain)
  const answer = await resolver.txt(`_smtp._tls.${domain}`)
  if (answer.kind === 'failed') return findings.unknown(`the TLS-RPT record of ${domain}: ${answer.error.message}`)
  const records = recordsOf(answer).filter((record) => record.startsWith('v=TLSRPTv1;'))
  const [record] = records
  if (record === undefined) return findings.absent(`${domain} asks for no reports on TLS`, publish)
  if (records.length > 1) return findings.wrong(`${domain} has ${records.length} TLS-RPT records: none of them counts`)
  if (!/;\s*rua=\s*(?:mailto:[^\s,;]+@|https:\/\/)/i.test(record))
    return findings.wrong(`the TLS-RPT record of ${domain} names nobody to report to: ${record}`, publish)
  findings.good(`${domain} asks for reports on TLS`)
}
