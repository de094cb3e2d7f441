import { organisationalDomain } from '../dmarc/organisational-domain.ts'
import { dmarcRecordAmong, dmarcTags, isDmarcRecord } from '../dmarc/record.ts'
import { domainOf, parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Resolver } from '../resolver.ts'
import type { ReportKind } from './facts.ts'

/** Where a report may go. */
export type ReportTarget =
  | { readonly kind: 'mail'; readonly uri: string; readonly address: Mailbox; readonly mostBytes?: number }
  | { readonly kind: 'post'; readonly uri: string }

/** What a domain says now about one place, or about reports as such (`uri` empty). */
export type Destination =
  | { readonly kind: 'ready'; readonly target: ReportTarget }
  /** For good: it is told in the log, and not tried again. */
  | { readonly kind: 'refused'; readonly uri: string; readonly reason: string }
  /** DNS does not answer now. */
  | { readonly kind: 'unknown'; readonly uri: string; readonly reason: string }

type AskTxt = Pick<Resolver, 'txt'>

/** A record may name as many as it likes; two at least must be served (RFC 7489 §6.2). */
const mostTargets = 4

/** Where a domain wants its reports; empty: nowhere. */
export function reportTargets(kind: ReportKind, domain: string, resolver: AskTxt): Promise<readonly Destination[]> {
  return kind === 'dmarc' ? dmarcTargets(domain, resolver) : tlsTargets(domain, resolver)
}

/** By `rua` of the DMARC record; what is outside of the domain must agree (RFC 7489 §7.1). */
async function dmarcTargets(domain: string, resolver: AskTxt): Promise<readonly Destination[]> {
  const answer = await resolver.txt(`_dmarc.${domain}`)
  if (answer.kind === 'failed') return [unknown('', `the DMARC record: ${answer.error.message}`)]
  const record = answer.kind === 'found' ? dmarcRecordAmong(answer.records) : undefined
  if (record?.reportsTo === undefined) return []
  const found = parseReportUris(record.reportsTo).filter(({ kind }) => kind === 'mail')
  const agreed = await Promise.all(found.slice(0, mostTargets).map((target) => agreedTarget(domain, target, resolver)))
  return agreed.flat()
}

/** A host that others send our reports to says so by a record of its own, and may name another address of its own there. */
async function agreedTarget(domain: string, target: ReportTarget, resolver: AskTxt): Promise<readonly Destination[]> {
  if (target.kind !== 'mail') return []
  const host = domainOf(target.address)
  if (organisationalDomain(host) === organisationalDomain(domain)) return [{ kind: 'ready', target }]
  const name = `${domain}._report._dmarc.${host}`
  const answer = await resolver.txt(name)
  if (answer.kind === 'failed') return [unknown(target.uri, `${name}: ${answer.error.message}`)]
  const agrees = answer.kind === 'found' ? answer.records.find((text) => isDmarcRecord(text)) : undefined
  if (agrees === undefined)
    return [{ kind: 'refused', uri: target.uri, reason: `${host} does not say that it takes reports (${name})` }]
  const instead = parseReportUris(dmarcTags(agrees).get('rua') ?? '').filter(
    (other) => other.kind === 'mail' && domainOf(other.address) === host,
  )
  return (instead.length === 0 ? [target] : instead).map((ready) => ({ kind: 'ready', target: ready }))
}

/** By the record at `_smtp._tls.DOMAIN` (RFC 8460 §3). */
async function tlsTargets(domain: string, resolver: AskTxt): Promise<readonly Destination[]> {
  const answer = await resolver.txt(`_smtp._tls.${domain}`)
  if (answer.kind === 'failed') return [unknown('', `the TLSRPT record: ${answer.error.message}`)]
  if (answer.kind === 'absent') return []
  const records = answer.records.filter((text) => /^v=TLSRPTv1[ \t]*;/.test(text))
  const [record] = records
  if (record === undefined || records.length > 1) return []
  const targets = parseReportUris(dmarcTags(record).get('rua') ?? '').slice(0, mostTargets)
  return targets.map((target) => ({ kind: 'ready', target }))
}

/** `mailto:` with a limit of size, and `https:`; others are passed over. Commas and `!` within a URI are encoded (RFC 7489 §6.2). */
export function parseReportUris(text: string): readonly ReportTarget[] {
  const found = text.split(',').flatMap((part) => parseUri(part.trim()) ?? [])
  return [...new Map(found.map((target) => [target.uri, target])).values()]
}

function parseUri(text: string): ReportTarget | undefined {
  const [uri = '', limit] = /^([^!]*)(?:!(.*))?$/.exec(text)?.slice(1) ?? []
  if (/^https:\/\//i.test(uri)) return URL.canParse(uri) ? { kind: 'post', uri: new URL(uri).href } : undefined
  const address = /^mailto:([^?#]+)/i.exec(uri)?.[1]
  const mailbox = address === undefined ? undefined : parseMailbox(decoded(address))
  if (mailbox === undefined || domainOf(mailbox).startsWith('[')) return undefined
  const mostBytes = limit === undefined ? undefined : sizeOf(limit)
  return { kind: 'mail', uri: `mailto:${mailbox}`, address: mailbox, ...(mostBytes === undefined ? {} : { mostBytes }) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

const units = ['', 'k', 'm', 'g', 't']

/** `10m`: units are powers of 1024 (RFC 7489 §6.2). */
function sizeOf(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,15})([kmgt]?)$/i.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * 1024 ** units.indexOf(unit.toLowerCase())
}

function unknown(uri: string, reason: string): Destination {
  return { kind: 'unknown', uri, reason }
}
