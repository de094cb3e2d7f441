import { isIPv4, isIPv6 } from 'node:net'

import { settle } from '../config/settle.ts'
import { compileNetworks } from '../config/network.ts'
import type { Restriction, RestrictionRule, Table } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { Dns } from './dns.ts'
import type { Finding, Means, Question } from './question.ts'

type DnsblRule = Extract<RestrictionRule, { readonly kind: 'dnsbl' }>

/** Lists answer in 127/8 (RFC 5782 §2.1); in 127.255.255/24 some of them tell that they do not answer us. */
const listed = compileNetworks(['127.0.0.0/8'])
const complaints = compileNetworks(['127.255.255.0/24'])
const longestReason = 300

/** A list that cannot be asked now lists nobody: its trouble never refuses mail. */
export async function checkDnsbl(rule: DnsblRule, question: Question, means: Means): Promise<Finding> {
  const name = dnsblName(question.client.address, rule.zone)
  if (name === undefined || !(await isListed(rule, name, means))) return 'next'
  const [reason] = recordsOf(await means.dns.txt(name))
  const said = reason === undefined ? '' : `; ${printable(reason)}`
  const text = `Service unavailable; Client host [${question.client.address}] blocked using ${rule.zone}${said}`
  return { code: 554, enhanced: '5.7.1', text }
}

/** The scores of the lists that have the client, those of `rules` that have one; all are asked at once. */
export async function dnsblScore(rules: readonly Restriction[], question: Question, means: Means): Promise<number> {
  const scores = rules.map(async ({ rule }) => {
    if (rule.kind !== 'dnsbl' || rule.score === undefined) return 0
    const name = dnsblName(question.client.address, rule.zone)
    return name !== undefined && (await isListed(rule, name, means)) ? rule.score : 0
  })
  return (await Promise.all(scores)).reduce((sum, score) => sum + score, 0)
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

/** @param answers which of its answers count; absent: all but complaints about who asks. @throws TableError */
export async function isListed(
  { answers }: { readonly answers?: Table },
  name: string,
  { dns, tables }: { readonly dns: Pick<Dns, 'a'>; readonly tables: TableSet },
): Promise<boolean> {
  const records = recordsOf(await dns.a(name))
  if (answers === undefined) return records.some((one) => listed.matches(one) && !complaints.matches(one))
  return settle(tables, (settled) => records.some((one) => settled.matchesAddress(answers, one)))
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
