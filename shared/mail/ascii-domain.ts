import { domainToASCII } from 'node:url'

/**
 * The one form in which domains are compared: lower case, an internationalised one in A-labels (RFC 5890 §2.3.2.1), so that
 * `exämple.org` and `xn--exmple-cua.org` are the same. `undefined` when it has no such form.
 */
export function asciiDomain(domain: string): string | undefined {
  const folded = domain.toLowerCase()
  if (isAscii(folded)) return folded
  return domainToASCII(folded) || undefined
}

/** A domain, or `user@domain`, as a key or pattern of a table: lower case, the domain behind `@` in A-labels, the rest in NFC. */
export function foldedAddress(text: string): string {
  const folded = text.toLowerCase()
  if (isAscii(folded)) return folded
  const at = folded.lastIndexOf('@')
  if (at < 0) return folded.normalize('NFC')
  const domain = folded.slice(at + 1)
  return `${folded.slice(0, at).normalize('NFC')}@${asciiDomain(domain) ?? domain}`
}

export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}
