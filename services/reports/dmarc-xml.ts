import type { DmarcReport, DmarcRow, PublishedPolicy } from '../../shared/received-reports/model.ts'
import { ReportFault, addressOf, countOf, domainOf, instantOf, textOf, wordOf } from './values.ts'
import { readSections } from './xml-sections.ts'
import type { Section } from './xml-sections.ts'

/** A report without what is known of the mail that brought it. */
export type Content<Report> = Omit<Report, 'receivedAt' | 'message' | 'mail'>

/** So much is kept of one report's rows, in characters of JSON; what is beyond is counted. */
const mostKept = 1_000_000
const mostResults = 10

/**
 * Reads an aggregate report (RFC 7489 appendix C; its successor adds elements and a namespace). Elements it does not know are passed
 * over, those it can do without may be missing, and a row that says nothing is left out and counted.
 * @throws ReportFault
 */
export function parseDmarcXml(text: string): Content<DmarcReport> {
  let metadata: Section | undefined
  let published: Section | undefined
  const rows: DmarcRow[] = []
  let leftOut = 0
  let kept = 0
  readSections(text, 'feedback', (section) => {
    if (section.name === 'report_metadata') metadata ??= section
    else if (section.name === 'policy_published') published ??= section
    else if (section.name === 'record') {
      const row = rowOf(section)
      kept += row === undefined ? 0 : JSON.stringify(row).length
      if (row === undefined || kept > mostKept) leftOut += 1
      else rows.push(row)
    }
  })
  if (metadata === undefined || published === undefined)
    throw new ReportFault(`no <${metadata === undefined ? 'report_metadata' : 'policy_published'}> in the DMARC report`)
  const head = headOf(metadata)
  const domain = domainOf(published.text('domain'))
  if (domain === undefined) throw new ReportFault('the DMARC report does not say which domain it is about')
  const named = rows.map((row) => (row.headerFrom === '' ? { ...row, headerFrom: domain } : row))
  return { kind: 'dmarc', ...head, domain, policy: policyOf(published), rows: named, leftOut }
}

type Head = Pick<DmarcReport, 'org' | 'contact' | 'reportId' | 'beginAt' | 'endAt'>

function headOf(metadata: Section): Head {
  const contact = textOf(metadata.text('email'))
  const org = textOf(metadata.text('org_name')) ?? contact
  const beginAt = instantOf(metadata.text('date_range/begin'))
  const endAt = instantOf(metadata.text('date_range/end')) ?? beginAt
  if (org === undefined) throw new ReportFault('the DMARC report does not say who reports')
  if (beginAt === undefined || endAt === undefined)
    throw new ReportFault('the DMARC report does not say of which time it is')
  const reportId = textOf(metadata.text('report_id')) ?? ''
  return { org, ...(contact === undefined ? {} : { contact }), reportId, beginAt, endAt: Math.max(beginAt, endAt) }
}

const policyElements = { p: 'p', sp: 'sp', np: 'np', adkim: 'adkim', aspf: 'aspf', pct: 'pct', testing: 'testing' }

function policyOf(published: Section): PublishedPolicy {
  const found = Object.entries(policyElements).map(([name, element]) => [name, wordOf(published.text(element))])
  return Object.fromEntries(found.filter(([, value]) => value !== undefined))
}

/** Undefined: it does not say from where, or how many. */
function rowOf(record: Section): DmarcRow | undefined {
  const ip = addressOf(record.text('row/source_ip'))
  const count = countOf(record.text('row/count'))
  if (ip === undefined || count === undefined) return undefined
  const disposition = wordOf(record.text('row/policy_evaluated/disposition'))
  const envelopeFrom = domainOf(record.text('identifiers/envelope_from'))
  return {
    ip,
    count,
    disposition: disposition === 'quarantine' || disposition === 'reject' ? disposition : 'none',
    dkim: wordOf(record.text('row/policy_evaluated/dkim')) === 'pass',
    spf: wordOf(record.text('row/policy_evaluated/spf')) === 'pass',
    headerFrom: domainOf(record.text('identifiers/header_from')) ?? '',
    ...(envelopeFrom === undefined ? {} : { envelopeFrom }),
    reasons: wordsOf(record.all('row/policy_evaluated/reason')),
    signatures: record.all('auth_results/dkim').slice(0, mostResults).flatMap(signatureOf),
    spfChecks: record.all('auth_results/spf').slice(0, mostResults).flatMap(spfCheckOf),
  }
}

function wordsOf(reasons: readonly Section[]): readonly string[] {
  return [...new Set(reasons.slice(0, mostResults).flatMap((reason) => wordOf(reason.text('type')) ?? []))]
}

function signatureOf(element: Section): DmarcRow['signatures'] {
  const domain = domainOf(element.text('domain'))
  const selector = textOf(element.text('selector'), 64)
  if (domain === undefined) return []
  const result = wordOf(element.text('result')) ?? 'none'
  return [{ domain, ...(selector === undefined ? {} : { selector }), result }]
}

function spfCheckOf(element: Section): DmarcRow['spfChecks'] {
  const domain = domainOf(element.text('domain'))
  return domain === undefined ? [] : [{ domain, result: wordOf(element.text('result')) ?? 'none' }]
}
