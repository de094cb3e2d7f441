import { asciiDomain } from '../mail/ascii-domain.ts'

/** Compiled domains: plain names in a set, patterns with `*` beside it; an internationalised entry stands for its A-labels. */
export interface DomainMatcher {
  matches(host: string): boolean
}

export function compileDomains(entries: readonly string[]): DomainMatcher {
  const names = new Set<string>()
  const patterns: string[] = []
  for (const entry of entries) {
    const folded = asciiDomain(entry) ?? entry.toLowerCase()
    if (folded.includes('*')) patterns.push(folded)
    else names.add(folded)
  }
  return {
    matches(host) {
      const folded = host.toLowerCase()
      return names.has(folded) || patterns.some((pattern) => matchesDomainPattern(folded, pattern))
    },
  }
}

/**
 * `*` goes to the next occurrence of the character behind it and never back: `*.example.org` is one label more, not two.
 * Both in lower case.
 */
export function matchesDomainPattern(host: string, pattern: string): boolean {
  let at = 0
  let read = 0
  while (read < pattern.length && at < host.length) {
    const wanted = pattern[read]
    if (wanted === '*') {
      while (pattern[read] === '*') read += 1
      const behind = pattern[read]
      const found = behind === undefined ? -1 : host.indexOf(behind, at)
      at = found < 0 ? host.length : found
    } else if (wanted === host[at]) {
      at += 1
      read += 1
    } else {
      return false
    }
  }
  return at === host.length && read === pattern.length
}
