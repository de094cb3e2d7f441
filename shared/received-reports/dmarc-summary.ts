import { adviceOn } from './dmarc-advice.ts'
import type { DmarcReport, DmarcRow, PublishedPolicy } from './model.ts'
import { add, byCount, dayOfReport, daysOf, isDoubtful } from './period.ts'
import type { Period } from './period.ts'

/** What receivers saw of mail in the name of one domain. */
export interface DmarcDomain {
  readonly domain: string
  readonly reports: number
  /** Reports whose own mail failed DMARC: they are in no other number. */
  readonly doubtful: number
  readonly messages: number
  /** DKIM or SPF passed, aligned with the author's domain. */
  readonly passed: number
  readonly dkimPassed: number
  readonly spfPassed: number
  readonly quarantined: number
  readonly rejected: number
  /** As the newest report found it. */
  readonly policy: PublishedPolicy
  readonly reporters: readonly { readonly org: string; readonly messages: number }[]
  readonly days: readonly DayCount[]
  /** Those with the most messages that failed first. */
  readonly sources: readonly DmarcSource[]
  /** Sources that are not listed. */
  readonly moreSources: number
}

export interface DayCount {
  /** `2026-11-20` */
  readonly day: string
  readonly passed: number
  readonly failed: number
}

/** An address that sends in the name of the domain. */
export interface DmarcSource {
  readonly ip: string
  readonly messages: number
  readonly passed: number
  readonly dkimPassed: number
  readonly spfPassed: number
  readonly quarantined: number
  readonly rejected: number
  readonly headerFrom: readonly string[]
  /** Domains that signed, `example.org (pass)`. */
  readonly signers: readonly string[]
  /** Domains of the reverse-path or HELO, `example.org (softfail)`. */
  readonly spfDomains: readonly string[]
  readonly reporters: readonly string[]
  /** What it means, and what to do. */
  readonly advice: string
}

const mostSources = 200
const mostDomains = 200
const mostNames = 5
const mostReporters = 20

/** By domain, those with the most messages that failed first. */
export function summarizeDmarc(reports: readonly DmarcReport[], period: Period): readonly DmarcDomain[] {
  const byDomain = new Map<string, DmarcReport[]>()
  for (const report of reports) {
    const known = byDomain.get(report.domain)
    if (known === undefined) byDomain.set(report.domain, [report])
    else known.push(report)
  }
  return [...byDomain]
    .map(([domain, own]) => summaryOf(domain, own, period))
    .toSorted((one, other) => failed(other) - failed(one) || other.messages - one.messages)
    .slice(0, mostDomains)
}

function summaryOf(domain: string, all: readonly DmarcReport[], period: Period): DmarcDomain {
  const reports = all.filter((report) => !isDoubtful(report))
  const newest = reports.toSorted((one, other) => other.endAt - one.endAt)[0]
  const policy = newest?.policy ?? {}
  const sources = sourcesOf(reports, domain, policy)
  const reporters = new Map<string, number>()
  for (const { org, rows } of reports) add(reporters, org, messagesIn(rows))
  return {
    domain,
    reports: reports.length,
    doubtful: all.length - reports.length,
    ...totalsOf(reports.flatMap(({ rows }) => rows)),
    policy,
    reporters: byCount(reporters)
      .slice(0, mostReporters)
      .map(([org, messages]) => ({ org, messages })),
    days: dayCounts(reports, period),
    sources: sources.slice(0, mostSources),
    moreSources: Math.max(0, sources.length - mostSources),
  }
}

type Totals = Pick<DmarcDomain, 'messages' | 'passed' | 'dkimPassed' | 'spfPassed' | 'quarantined' | 'rejected'>

function totalsOf(rows: readonly DmarcRow[]): Totals {
  const sum = (counts: (row: DmarcRow) => boolean): number => messagesIn(rows.filter(counts))
  return {
    messages: messagesIn(rows),
    passed: sum(isPassed),
    dkimPassed: sum(({ dkim }) => dkim),
    spfPassed: sum(({ spf }) => spf),
    quarantined: sum(({ disposition }) => disposition === 'quarantine'),
    rejected: sum(({ disposition }) => disposition === 'reject'),
  }
}

function sourcesOf(reports: readonly DmarcReport[], domain: string, policy: PublishedPolicy): readonly DmarcSource[] {
  const byIp = new Map<string, { readonly rows: DmarcRow[]; readonly orgs: Set<string> }>()
  for (const { org, rows } of reports) {
    for (const row of rows) {
      const source = byIp.get(row.ip) ?? { rows: [], orgs: new Set<string>() }
      byIp.set(row.ip, source)
      source.rows.push(row)
      source.orgs.add(org)
    }
  }
  return [...byIp]
    .map(([ip, { rows, orgs }]) => ({
      ip,
      ...totalsOf(rows),
      headerFrom: names(rows, ({ headerFrom }) => [headerFrom]),
      signers: names(rows, ({ signatures }) => signatures.map((one) => `${one.domain} (${one.result})`)),
      spfDomains: names(rows, ({ spfChecks }) => spfChecks.map((one) => `${one.domain} (${one.result})`)),
      reporters: [...orgs].slice(0, mostNames),
      advice: adviceOn(rows, domain, policy),
    }))
    .toSorted((one, other) => failed(other) - failed(one) || other.messages - one.messages)
}

/** The most frequent ones. */
function names(rows: readonly DmarcRow[], of: (row: DmarcRow) => readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const row of rows) for (const name of new Set(of(row))) add(counts, name, row.count)
  return byCount(counts)
    .slice(0, mostNames)
    .map(([name]) => name)
}

function dayCounts(reports: readonly DmarcReport[], period: Period): readonly DayCount[] {
  const passed = new Map<string, number>()
  const all = new Map<string, number>()
  for (const report of reports) {
    const day = dayOfReport(report, period)
    add(passed, day, messagesIn(report.rows.filter(isPassed)))
    add(all, day, messagesIn(report.rows))
  }
  return daysOf(period).map((day) => {
    const well = passed.get(day) ?? 0
    return { day, passed: well, failed: (all.get(day) ?? 0) - well }
  })
}

function messagesIn(rows: readonly DmarcRow[]): number {
  return rows.reduce((sum, { count }) => sum + count, 0)
}

function isPassed({ dkim, spf }: DmarcRow): boolean {
  return dkim || spf
}

function failed({ messages, passed }: Pick<Totals, 'messages' | 'passed'>): number {
  return messages - passed
}
