import { linksOf, readMail } from '../../../shared/classifier/readable-mail.ts'
import { reversedAddress } from '../../../shared/restrictions/dnsbl.ts'
import { organisationalDomain } from '../../../shared/dmarc/organisational-domain.ts'

/** A message that names more domains is judged by these; asking for hundreds would be a burden to the lists. */
const mostDomains = 20

/** What a message links to, as lists in DNS are asked: domains as they are registered, and addresses turned round (RFC 5782 §3). */
export default function linkedDomains(content: Uint8Array): readonly string[] {
  const domains = new Set<string>()
  for (const link of linksOf(readMail(Buffer.from(content.buffer, content.byteOffset, content.byteLength)))) {
    const host = /^(?:https?:)?\/\/(?:[^/?#]*@)?([^/?#:\s]+)/i.exec(link)?.[1] ?? /^(www\.[^/?#:\s]+)/i.exec(link)?.[1]
    if (host === undefined || !host.includes('.')) continue
    const lower = host.toLowerCase().replace(/\.$/, '')
    const name = reversedAddress(lower) ?? organisationalDomain(lower)
    if (/^(?=.{1,180}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+$/.test(name)) domains.add(name)
    if (domains.size >= mostDomains) break
  }
  return [...domains]
}
