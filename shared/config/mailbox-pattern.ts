import { foldedAddress } from '../mail/ascii-domain.ts'
import { matchesDomainPattern } from './domain-pattern.ts'

/** Compiled entries `user`, `@domain`, `user@domain`, `@`. */
export interface MailboxMatcher {
  /** The null reverse-path is `@`, matched by the entry `@` only. */
  matches(address: string): boolean
}

interface Parts {
  readonly user: string
  readonly domain: string
}

/**
 * The domain part may hold `*`; the user part is compared without case and has no wildcard. An entry without the sub-address
 * delimiter in its user part matches any sub-address of it.
 */
export function compileMailboxes(entries: readonly string[], delimiter: string): MailboxMatcher {
  const users = new Set<string>()
  const domains = new Set<string>()
  const mailboxes = new Set<string>()
  const patterns: Parts[] = []
  let everything = false
  for (const entry of entries) {
    const parts = splitMailbox(entry)
    if (parts.user === '' && parts.domain === '') everything = true
    else if (parts.domain.includes('*')) patterns.push(parts)
    else if (parts.domain === '') users.add(parts.user)
    else if (parts.user === '') domains.add(parts.domain)
    else mailboxes.add(`${parts.user}@${parts.domain}`)
  }
  return {
    matches(address) {
      if (everything) return true
      const { user, domain } = splitMailbox(address)
      if (domain !== '' && domains.has(domain)) return true
      const cut = user.indexOf(delimiter)
      const forms = cut < 0 ? [user] : [user, user.slice(0, cut)]
      if (user !== '' && forms.some((form) => users.has(form) || mailboxes.has(`${form}@${domain}`))) return true
      return patterns.some(
        (pattern) =>
          matchesDomainPattern(domain, pattern.domain) && (pattern.user === '' || forms.includes(pattern.user)),
      )
    },
  }
}

function splitMailbox(text: string): Parts {
  const folded = foldedAddress(text)
  const at = folded.lastIndexOf('@')
  if (at < 0) return { user: folded, domain: '' }
  return { user: folded.slice(0, at), domain: folded.slice(at + 1) }
}
