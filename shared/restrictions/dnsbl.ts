import { isIPv4, isIPv6 } from 'node:net'

import { settle } from '../config/settle.ts'
import { compileNetworks } from '../config/network.ts'
import type { DnsblRule, Restriction, Table } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { FilterTally } from '../filter-tally/tally.ts'
import { listName } from '../filter-tally/names.ts'
import { domainOf } from '../mail/address.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'
import type { LookUp } from '../resolver.ts'
import type { Dns } from './dns.ts'
import { isFullyQualified } from './host-name.ts'
import type { Finding, Means, Question } from './question.ts'

/** Lists answer in 127/8 (RFC 5782 §2.1); in 127.255.255/24 some of them tell that they do not answer us. */
const listed = compileNetworks(['127.0.0.0/8'])
const complaints = compileNetworks(['127.255.255.0/24'])
const longestReason = 300

/** A list that cannot be asked now lists nobody: its trouble never refuses mail. */
export async function checkDnsbl(rule: DnsblRule, question: Question, means: Means): Promise<Finding> {
  const who = await listedAs(rule, question)
  if (who === undefined || !(await isListed(rule, who.name, means))) return 'next'
  const [reason] = recordsOf(await means.dns.txt(who.name))
  const said = reason === undefined ? '' : `; ${printable(reason)}`
  const text = `Service unavailable; ${who.text} blocked using ${rule.zone}${said}`
  return { code: 554, enhanced: '5.7.1', text }
}

/** The scores of the lists that have the client, those of `rules` that have one; all are asked at once. */
export async function dnsblScore(rules: readonly Restriction[], question: Question, means: Means): Promise<number> {
  const scores = rules.map(async ({ rule }) => {
    if (rule.kind !== 'dnsbl' || rule.score === undefined) return 0
    const who = await listedAs(rule, question)
    return who !== undefined && (await isListed(rule, who.name, means)) ? rule.score : 0
  })
  return (await Promise.all(scores)).reduce((sum, score) => sum + score, 0)
}

/** Asks the lists of `rules` now, for those who ask soon: one that is slow does not hold up the others. */
export function askAhead(rules: readonly Restriction[], question: Question, { dns }: Means): void {
  for (const { rule } of rules)
    if (rule.kind === 'dnsbl') void listedAs(rule, question).then((who) => who && dns.a(who.name))
}

/** What a list is asked for, and how it is told; `undefined`: nothing that it could have. */
async function listedAs(
  { zone, of }: DnsblRule,
  { client, helo, sender }: Question,
): Promise<{ readonly name: string; readonly text: string } | undefined> {
  if (of === undefined) {
    const name = dnsblName(client.address, zone)
    return name === undefined ? undefined : { name, text: `Client host [${client.address}]` }
  }
  if (of === 'client') {
    const { name, forward } = await client.name()
    return forward === 'pass' ? domainListed(name, zone, `Client host [${name ?? ''}]`) : undefined
  }
  if (of === 'helo') return domainListed(helo, zone, `Helo command [${helo ?? ''}]`)
  const mailbox = sender?.mailbox ?? undefined
  return domainListed(mailbox && domainOf(mailbox), zone, `Sender address [${sender?.text ?? ''}]`)
}

function domainListed(domain: string | undefined, zone: string, text: string) {
  const ascii = asciiDomain(domain ?? '')?.replace(/\.$/, '')
  return ascii !== undefined && isFullyQualified(ascii) && !ascii.startsWith('[')
    ? { name: `${ascii}.${zone}`, text }
    : undefined
}

/** `2.0.0.127.zen.example.org`; for IPv6 one label for each hexadecimal digit (RFC 5782 §2.1, §2.4). */
export function dnsblName(address: string, zone: string): string | undefined {
  const reversed = reversedAddress(address)
  return reversed === undefined ? undefined : `${reversed}.${zone}`
}

/** Of an address, as lists are asked for it; of a name there is none. */
export function reversedAddress(address: string): string | undefined {
  const plain = address.replace(/%.*$/, '')
  if (isIPv4(plain)) return plain.split('.').reverse().join('.')
  return isIPv6(plain) ? hexDigits(plain).split('').reverse().join('.') : undefined
}

interface ListMeans {
  readonly dns: Pick<Dns, 'a'>
  readonly tables: TableSet
  readonly filterTally?: Pick<FilterTally, 'answered'> | undefined
}

function statusOf(found: LookUp<string>): { readonly status: 'ok' | 'failed'; readonly reason?: string } {
  return found.kind === 'failed' ? { status: 'failed', reason: found.error.message } : { status: 'ok' }
}

/** @param answers which of its answers count; absent: all but complaints about who asks. @throws TableError */
export async function isListed(
  { answers, zone }: { readonly answers?: Table; readonly zone: string },
  name: string,
  { dns, tables, filterTally }: ListMeans,
): Promise<boolean> {
  const startedAt = performance.now()
  const found = await dns.a(name)
  filterTally?.answered(listName(zone), { ...statusOf(found), tookMs: performance.now() - startedAt })
  const records = recordsOf(found)
  if (answers === undefined) return isListing(records)
  return settle(tables, (settled) => records.some((one) => settled.matchesAddress(answers, one)))
}

/** Whether a list that was asked says yes; what it answers to those it does not serve is no yes. */
export function isListing(records: readonly string[]): boolean {
  return records.some((one) => listed.matches(one) && !complaints.matches(one))
}

function hexDigits(address: string): string {
  const { hostname } = new URL(`http://[${address}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('')
}

function recordsOf<T>(found: { readonly kind: string; readonly records?: readonly T[] }): readonly T[] {
  return found.records ?? []
}

function printable(text: string): string {
  return text.slice(0, longestReason).replaceAll(/[^\x20-\x7e]/g, '?')
}
