import { publishedKey, readPrivateKey } from './private-key.ts'

/** The TXT record that publishes a key. */
export interface DnsRecord {
  /** `main._domainkey.example.org` */
  readonly name: string
  /** One text, as a web form of a DNS provider takes it. */
  readonly value: string
  /** A line for a zone file, the text cut into strings of at most 255 octets (RFC 1035 §3.3). */
  readonly zoneLine: string
}

/** @throws Error when `pem` holds no key DKIM can use. */
export function dkimRecord(pem: string, selector: string, domain: string): DnsRecord {
  const key = readPrivateKey(pem)
  const name = `${selector}._domainkey.${domain}`
  const value = `v=DKIM1; k=${key.type}; p=${publishedKey(key)}`
  const strings = (value.match(/.{1,255}/g) ?? []).map((text) => `"${text}"`)
  return {
    name,
    value,
    zoneLine: `${name}. IN TXT ${strings.length > 1 ? `( ${strings.join(' ')} )` : strings.join('')}`,
  }
}
