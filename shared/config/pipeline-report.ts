import { domainOf, parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { isAscii } from '../mail/ascii-domain.ts'
import type { ReportSender } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** Aggregate reports to the domains that ask for them. */
export const reportStatements: Readonly<Record<string, ParseStatement>> = { report: parseReport }

const kinds = ['dmarc', 'tls'] as const

/** `report dmarc from "address" [as "organisation"]`, `report tls from "address" [as "organisation"]`. */
function parseReport(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const kind = choiceOf(reader, kinds, 'what is reported')
  const { aggregateReports } = draft.settings
  if (aggregateReports[kind] !== undefined)
    reader.fail('duplicate', `"report ${kind}" is stated already`, reader.last.span, 'keep one of the two')
  reader.expect('from', `behind "${kind}"`)
  const from = addressOf(draft)
  const sender: ReportSender = reader.accept('as') ? { from, organisation: organisationOf(draft) } : { from }
  finish(draft, { aggregateReports: { ...aggregateReports, [kind]: sender } })
}

function addressOf({ reader }: PipelineDraft): Mailbox {
  const { text, span } = reader.string('the address that reports come from')
  const address = parseMailbox(text)
  if (address !== undefined && isAscii(address) && !address.endsWith(']')) return address
  return reader.fail('value', `"${text}" is not an address for reports`, span, '"dmarc-reports@example.org", in ASCII')
}

/** It stands in the header and in the report. */
function organisationOf({ reader }: PipelineDraft): string {
  const { text, span } = reader.string('the name of your organisation')
  if (/^[\x20-\x7e]{1,100}$/.test(text) && text.trim() !== '') return text
  return reader.fail('value', 'the name has 1 to 100 characters of ASCII', span, '"Example Mail"')
}

/** Receivers drop TLS reports that are not signed (RFC 8460 §3), and DMARC reports that fail DMARC (RFC 7489 §7.2.1.1). */
export function checkReports({ reader, settings, statedAt }: PipelineDraft): void {
  const span = statedAt.get('report')
  if (span === undefined) return
  const { aggregateReports, dkim } = settings
  const domains = new Set(kinds.flatMap((kind) => aggregateReports[kind]?.from ?? []).map(domainOf))
  for (const domain of domains) {
    if (dkim.some((key) => key.domain === '*' || domain === key.domain || domain.endsWith(`.${key.domain}`))) continue
    const message = `reports from ${domain} are not signed here: many receivers drop them`
    reader.warn('incomplete', message, span, `dkim domain "${domain}" selector "s1" key "/path/of/key"`)
  }
}
