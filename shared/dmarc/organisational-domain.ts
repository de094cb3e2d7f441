import { getDomain } from 'tldts'

/**
 * The organisational domain (RFC 7489 §3.2) by the public suffix list, its private part included: `example.co.uk` for
 * `mail.example.co.uk`. A public suffix, or a name without one, is its own.
 */
export function organisationalDomain(domain: string): string {
  return getDomain(domain, { allowIcannDomains: true, allowPrivateDomains: true }) ?? domain
}
