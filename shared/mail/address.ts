import { asciiDomain, isAscii } from './ascii-domain.ts'

/**
 * A checked mailbox, `local-part@domain` (RFC 5321 §4.1.2), in canonical form: the domain in lower case (an address
 * literal keeps its brackets, an internationalised domain is written in A-labels), the local part as given but without needless
 * quotes, and in NFC. A string with a brand, so that it costs nothing in jobs and logs and an unchecked string cannot stand in for it.
 */
export type Mailbox = string & { readonly __brand: 'Mailbox' }

/** MAIL FROM: `null` is the null reverse-path `<>` (RFC 5321 §4.5.5). */
export type ReversePath = Mailbox | null

/** The part before the last `@`, quotes kept where they are needed. */
export function localPart(mailbox: Mailbox): string {
  return mailbox.slice(0, mailbox.lastIndexOf('@'))
}

/** The part behind the last `@`, in lower case: a domain name or an address literal in brackets. */
export function domainOf(mailbox: Mailbox): string {
  return mailbox.slice(mailbox.lastIndexOf('@') + 1)
}

const atom =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10FFFF}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10FFFF}]+)*$/u
const quoted = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\u{10FFFF}]|\\[\x20-\x7e])*"$/u
const label = /^[A-Za-z0-9_\u0080-\u{10FFFF}](?:[A-Za-z0-9_\-\u0080-\u{10FFFF}]*[A-Za-z0-9_\u0080-\u{10FFFF}])?$/u
const literal = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9a-fA-F:.]+)\]$/

/**
 * Reads `local-part@domain` without angle brackets; `undefined` when it is not a mailbox by RFC 5321 §4.1.2 (and
 * RFC 6531 for non-ASCII text). Limits of §4.5.3.1: 64 octets for the local part, 255 for the domain. Forwarders put a whole address
 * into a local part (SRS) and expect bounces to it: there the limit is 192.
 */
export function parseMailbox(text: string): Mailbox | undefined {
  const at = text.lastIndexOf('@')
  if (at < 1) return undefined
  const local = canonicalLocalPart(text.slice(0, at))
  const domain = canonicalDomain(text.slice(at + 1))
  if (local === undefined || domain === undefined || Buffer.byteLength(local) > longestLocalPart(local))
    return undefined
  return `${local}@${domain}` as Mailbox
}

/** True for a domain name of letter-digit-hyphen labels or an address literal in brackets. */
export function isDomain(text: string): boolean {
  if (text.length === 0 || Buffer.byteLength(text) > 255) return false
  if (text.startsWith('[')) return literal.test(text)
  return text.split('.').every((part) => Buffer.byteLength(part) <= 63 && label.test(part))
}

function longestLocalPart(local: string): number {
  return /^"?SRS[01]=/i.test(local) ? 192 : 64
}

/** Literals and labels are checked in the form they are kept in. */
function canonicalDomain(text: string): string | undefined {
  const domain = text.startsWith('[') ? text : asciiDomain(text)
  return domain !== undefined && isDomain(domain) ? domain : undefined
}

/**
 * Never of use in an address, and dangerous where it is shown: C1 controls, blanks and line separators beyond ASCII, marks that turn
 * the direction of the text round, non-characters (RFC 5198 §2, RFC 8264 §4.2.3).
 */
const unfit = /[\p{Cc}\p{Cs}\p{Z}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff0-\uffff]/u

function canonicalLocalPart(text: string): string | undefined {
  return isAscii(text) ? unquoted(text) : internationalLocalPart(text.normalize('NFC'))
}

function internationalLocalPart(text: string): string | undefined {
  return unfit.test(text.replaceAll(' ', '')) ? undefined : unquoted(text)
}

function unquoted(text: string): string | undefined {
  if (atom.test(text)) return text
  if (!quoted.test(text)) return undefined
  const plain = text.slice(1, -1).replaceAll(/\\(.)/gu, '$1')
  return atom.test(plain) ? plain : `"${plain.replaceAll(/["\\]/g, '\\$&')}"`
}
