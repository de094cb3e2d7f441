import type { MessageId } from '../mail/message-id.ts'
import type { AbuseReport, DmarcReport, TlsReport } from './model.ts'
import { summarizeDmarc } from './dmarc-summary.ts'
import type { DmarcDomain } from './dmarc-summary.ts'
import { isDoubtful, lastDays } from './period.ts'
import type { Period } from './period.ts'
import type { ReportsReader } from './reader.ts'
import { summarizeTls } from './tls-summary.ts'
import type { TlsDomain } from './tls-summary.ts'

/** What is asked: reports that came in the last so many days, of one domain or of all. */
export interface ReportQuestion {
  readonly days: number
  readonly domain?: string
}

interface View extends Period {
  /** There are more reports than were read: the newest are counted. */
  readonly cut: boolean
}

export interface DmarcView extends View {
  readonly domains: readonly DmarcDomain[]
  /** The newest. */
  readonly recent: readonly RecentReport[]
}

export interface TlsView extends View {
  readonly domains: readonly TlsDomain[]
  readonly recent: readonly RecentReport[]
}

export interface AbuseView extends View {
  readonly complaints: readonly (Omit<AbuseReport, 'mail' | 'kind'> & ReportOrigin)[]
}

interface ReportOrigin {
  /** Its mail. */
  readonly message: MessageId
  readonly mailDomain?: string
  /** What our filter says of that mail; absent: it did not look. */
  readonly dmarc?: string
}

/** One report, without its rows. */
export interface RecentReport extends ReportOrigin {
  readonly receivedAt: number
  readonly org: string
  readonly reportId: string
  readonly domains: readonly string[]
  readonly beginAt: number
  readonly endAt: number
  /** Messages or sessions. */
  readonly count: number
  /** Its mail failed DMARC: the figures are without it. */
  readonly doubtful: boolean
}

export const usualDays = 30
const mostRecent = 50
const mostComplaints = 100

export async function viewDmarc(
  reader: ReportsReader,
  { days, domain }: ReportQuestion,
  nowAt: number,
): Promise<DmarcView> {
  const period = lastDays(days, nowAt)
  const { reports: all, cut } = await reader.read('dmarc', period.sinceAt)
  const reports = all.filter((report) => domain === undefined || report.domain === domain)
  const recent = reports.slice(0, mostRecent).map((report) => ({
    ...recentOf(report),
    domains: [report.domain],
    count: report.rows.reduce((sum, row) => sum + row.count, 0),
  }))
  return { ...period, cut, domains: summarizeDmarc(reports, period), recent }
}

export async function viewTls(
  reader: ReportsReader,
  { days, domain }: ReportQuestion,
  nowAt: number,
): Promise<TlsView> {
  const period = lastDays(days, nowAt)
  const { reports: all, cut } = await reader.read('tls', period.sinceAt)
  const reports = all.flatMap((report) => {
    const policies = report.policies.filter((policy) => domain === undefined || policy.domain === domain)
    return policies.length === 0 ? [] : [{ ...report, policies }]
  })
  const recent = reports.slice(0, mostRecent).map((report) => ({
    ...recentOf(report),
    domains: [...new Set(report.policies.map((policy) => policy.domain))],
    count: report.policies.reduce((sum, { successful, failed }) => sum + successful + failed, 0),
  }))
  return { ...period, cut, domains: summarizeTls(reports, period), recent }
}

export async function viewAbuse(
  reader: ReportsReader,
  { days, domain }: ReportQuestion,
  nowAt: number,
): Promise<AbuseView> {
  const period = lastDays(days, nowAt)
  const { reports, cut } = await reader.read('abuse', period.sinceAt)
  const complaints = reports
    .filter((report) => domain === undefined || report.domain === domain)
    .slice(0, mostComplaints)
    .map(({ mail, kind: _kind, ...report }) => ({ ...report, ...originOf({ mail, message: report.message }) }))
  return { ...period, cut, complaints }
}

function recentOf(report: DmarcReport | TlsReport): Omit<RecentReport, 'domains' | 'count'> {
  const { receivedAt, org, reportId, beginAt, endAt } = report
  return { receivedAt, org, reportId, beginAt, endAt, doubtful: isDoubtful(report), ...originOf(report) }
}

function originOf({ message, mail }: Pick<DmarcReport, 'message' | 'mail'>): ReportOrigin {
  return {
    message,
    ...(mail.domain === undefined ? {} : { mailDomain: mail.domain }),
    ...(mail.dmarc === undefined ? {} : { dmarc: mail.dmarc }),
  }
}
