import { isIP } from 'node:net'

import { asciiDomain } from '../../shared/mail/ascii-domain.ts'

/** Why something is no report that can be kept, told in the story of its message. */
export class ReportFault extends Error {
  override readonly name = 'ReportFault'
}

const mostText = 200
/** A year before reports existed, and one nobody lives to see: seconds or milliseconds, both are told apart by them. */
const leastSeconds = 946_684_800
const mostSeconds = 7_258_118_400
const mostCount = 1_000_000_000_000

/** Text of a report on one line, cut to size; undefined when nothing is left of it. */
export function textOf(value: unknown, most = mostText): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const text = String(value)
    .slice(0, 4 * most)
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, most)
  return text === '' ? undefined : text
}

/** A word in lower case: `mailing_list`, `validation-failure`. */
export function wordOf(value: unknown): string | undefined {
  const word = textOf(value, 64)?.toLowerCase()
  return word !== undefined && /^[a-z0-9][a-z0-9._+-]*$/.test(word) ? word : undefined
}

/** A domain in lower case and A-labels, without the dot at its end; also one that DNS would not have (`_dmarc.example`). */
export function domainOf(value: unknown): string | undefined {
  const domain = asciiDomain((textOf(value, 1_000) ?? '').replace(/\.$/, ''))
  return domain !== undefined && /^[a-z0-9_*](?:[a-z0-9._-]{0,251}[a-z0-9])?$/.test(domain) ? domain : undefined
}

export function addressOf(value: unknown): string | undefined {
  const text = textOf(value)?.replace(/^\[(?:ipv6:)?(.*)\]$/i, '$1') ?? ''
  return isIP(text) === 0 ? undefined : text.toLowerCase()
}

/** A whole number from 0 on, also one in quotes. */
export function countOf(value: unknown): number | undefined {
  const text = textOf(value) ?? ''
  const count = /^\d{1,15}(?:\.0+)?$/.test(text) ? Number(text) : undefined
  return count !== undefined && count <= mostCount ? count : undefined
}

/** Epoch ms of seconds (RFC 7489), of milliseconds, or of a date (RFC 3339 as in RFC 8460, RFC 5322 as in RFC 5965). */
export function instantOf(value: unknown): number | undefined {
  const text = textOf(value) ?? ''
  const number = /^\d{9,14}(?:\.\d+)?$/.test(text) ? Number(text) : undefined
  if (number === undefined) return plausible(dateOf(text) / 1000)
  return plausible(number > mostSeconds ? number / 1000 : number)
}

/** A time without a zone is UTC. */
function dateOf(text: string): number {
  const isDate = /^(?:\d{4}-\d{2}-\d{2}|(?:[a-z]{3},? +)?\d{1,2} [a-z]{3} \d{4})/i.test(text)
  const zoned = /^[\d-]{10}[T ][\d:.]+$/.test(text) ? `${text}Z` : text
  return isDate ? Date.parse(zoned) : Number.NaN
}

function plausible(seconds: number): number | undefined {
  return seconds >= leastSeconds && seconds <= mostSeconds ? Math.trunc(seconds * 1000) : undefined
}
