import type { AbuseReport, DmarcReport, TlsReport } from '../../shared/received-reports/model.ts'
import { parseAbuseFields } from './abuse-fields.ts'
import { parseDmarcXml } from './dmarc-xml.ts'
import type { Content } from './dmarc-xml.ts'
import { partsOf } from './mail-parts.ts'
import type { MailPart } from './mail-parts.ts'
import { parseTlsJson } from './tls-json.ts'
import { mayBeReport, unpack } from './unpack.ts'
import { ReportFault } from './values.ts'

export type ReportContent = Content<DmarcReport> | Content<TlsReport> | Content<AbuseReport>

/** What a message brought. */
export interface FoundReports {
  readonly reports: readonly ReportContent[]
  /** Why parts of it are no reports that can be kept, though they look like some. */
  readonly faults: readonly string[]
}

const mostReports = 20

/**
 * Finds the reports in a message, by what the parts are and not by what they are called. Never throws; takes time and memory, so it
 * runs in a thread.
 */
export function readReports(content: Buffer): FoundReports {
  const parts = partsOf(content)
  const feedback = parts.find(({ type }) => type === 'message/feedback-report')
  const candidates = feedback === undefined ? parts.filter(isCandidate) : [feedback]
  const reports: ReportContent[] = []
  const faults: string[] = []
  for (const part of candidates.slice(0, mostReports)) {
    try {
      reports.push(reportIn(part))
    } catch (error) {
      const { message } = error as Error
      faults.push(error instanceof ReportFault ? message : `it cannot be read: ${message}`)
    }
  }
  if (candidates.length === 0) faults.push('no report in it: no XML, no JSON, no message/feedback-report')
  return { reports, faults }
}

/** A letter that begins with `<` is none. */
function isCandidate({ type, fileName, octets }: MailPart): boolean {
  const isLetter = (type === 'text/plain' || type === 'text/html' || type === '') && fileName === ''
  return !isLetter && mayBeReport(octets)
}

function reportIn({ type, octets }: MailPart): ReportContent {
  if (type === 'message/feedback-report') return parseAbuseFields(octets.toString('latin1', 0, 65_536))
  const text = unpack(octets)
  return /^[\s\uFEFF\u0000]*\{/.test(text) ? parseTlsJson(text) : parseDmarcXml(text)
}
