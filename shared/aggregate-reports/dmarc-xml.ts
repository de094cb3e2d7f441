import type { Counted, DmarcFact, PublishedPolicy } from './facts.ts'

/** What a report says of itself. */
export interface ReportFrame {
  readonly organisation: string
  readonly contact: string
  readonly reportId: string
  /** Epoch ms; `endAt` is no part of it. */
  readonly beginAt: number
  readonly endAt: number
}

/** A DMARC aggregate report (RFC 7489 appendix C) about one domain; rows beyond `mostRecords` are left out, the rarest first. */
export function dmarcXml(
  frame: ReportFrame,
  domain: string,
  rows: readonly Counted<DmarcFact>[],
  mostRecords = Number.POSITIVE_INFINITY,
): string {
  const sorted = rows.toSorted((one, other) => other.count - one.count)
  const kept = sorted.slice(0, mostRecords)
  // A domain may change its record in the course of a day: the last one seen stands for all.
  const published = rows.at(-1)?.fact.published
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<feedback>',
    '  <version>1.0</version>',
    ...metadata(frame, sorted.length - kept.length),
    ...(published === undefined ? [] : policy(domain, published)),
    ...kept.flatMap(record),
    '</feedback>',
    '',
  ].join('\n')
}

function metadata(frame: ReportFrame, leftOut: number): readonly string[] {
  return [
    '  <report_metadata>',
    `    ${element('org_name', frame.organisation)}`,
    `    ${element('email', frame.contact)}`,
    `    ${element('report_id', frame.reportId)}`,
    '    <date_range>',
    `      ${element('begin', seconds(frame.beginAt))}`,
    `      ${element('end', seconds(frame.endAt) - 1)}`,
    '    </date_range>',
    ...(leftOut === 0 ? [] : [`    ${element('error', `${leftOut} rows were left out for the size of the report`)}`]),
    '  </report_metadata>',
  ]
}

function policy(domain: string, { adkim, aspf, p, sp, pct }: PublishedPolicy): readonly string[] {
  return [
    '  <policy_published>',
    ...[element('domain', domain), element('adkim', adkim), element('aspf', aspf)].map((line) => `    ${line}`),
    ...[element('p', p), element('sp', sp), element('pct', pct)].map((line) => `    ${line}`),
    '  </policy_published>',
  ]
}

function record({ fact, count }: Counted<DmarcFact>): readonly string[] {
  const { signatures, spfCheck, reasons = [] } = fact
  return [
    '  <record>',
    '    <row>',
    `      ${element('source_ip', fact.sourceIp)}`,
    `      ${element('count', count)}`,
    '      <policy_evaluated>',
    `        ${element('disposition', fact.disposition)}`,
    `        ${element('dkim', fact.dkim)}`,
    `        ${element('spf', fact.spf)}`,
    ...reasons.map(({ type, comment }) => {
      const told = comment === undefined ? '' : element('comment', comment)
      return `        <reason>${element('type', type)}${told}</reason>`
    }),
    '      </policy_evaluated>',
    '    </row>',
    '    <identifiers>',
    `      ${element('envelope_from', fact.envelopeFrom)}`,
    `      ${element('header_from', fact.headerFrom)}`,
    '    </identifiers>',
    '    <auth_results>',
    ...signatures.map(({ domain, selector, result }) => {
      const by = selector === undefined ? '' : element('selector', selector)
      return `      <dkim>${element('domain', domain)}${by}${element('result', result)}</dkim>`
    }),
    `      <spf>${element('domain', spfCheck.domain)}${element('scope', spfCheck.scope)}${element('result', spfCheck.result)}</spf>`,
    '    </auth_results>',
    '  </record>',
  ]
}

function element(name: string, value: string | number): string {
  return `<${name}>${escapeXml(String(value))}</${name}>`
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** The text of strangers as character data: what XML 1.0 cannot hold (§2.2) becomes `?`. */
export function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '?')
    .replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '?')
}

function seconds(at: number): number {
  return Math.trunc(at / 1000)
}
