import { domainToASCII } from 'node:url'

/**
 * A domain in lower case: an international one in UTF-8 (octets as latin1; RFC 6532, RFC 8616) becomes A-labels, a closing dot goes.
 * What cannot be converted stays as it is and matches nothing.
 */
export function asciiDomain(octets: string): string {
  const domain = octets.toLowerCase().replace(/\.$/, '')
  if (!/[\u0080-\u00ff]/.test(domain)) return domain
  return domainToASCII(Buffer.from(octets, 'latin1').toString('utf8')) || domain
}
