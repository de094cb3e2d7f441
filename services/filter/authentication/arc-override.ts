import type { ArcResult } from '../../../shared/dkim/arc.ts'
import { methodResults } from '../../../shared/dkim/authentication-results.ts'
import type { DmarcResult } from './dmarc.ts'

/**
 * A DMARC failure that does not count: who sealed the message last is believed, the chain holds, and the sealer has seen DMARC
 * pass (RFC 8617 §7.2.1, RFC 7489 §6.7). Mail of lists, whose changes break what the author's domain proved.
 */
export async function overriddenByArc(
  dmarc: DmarcResult,
  arc: ArcResult,
  isTrusted: (sealer: string) => Promise<boolean>,
): Promise<DmarcResult> {
  const { sealer, results } = arc
  const { domain } = dmarc
  if (dmarc.result !== 'fail' || arc.result !== 'pass') return dmarc
  if (sealer === undefined || results === undefined || domain === undefined) return dmarc
  if (!sawDmarcPass(results, domain) || !(await isTrusted(sealer.toLowerCase()))) return dmarc
  return { ...dmarc, disposition: 'none', overriddenBy: sealer }
}

/** `dmarc=pass` for this author among the results of ARC-Authentication-Results. */
export function sawDmarcPass(results: string, domain: string): boolean {
  return methodResults(results).some(({ method, result, properties }) => {
    if (method !== 'dmarc' || result !== 'pass') return false
    const author = /(?:^|\s)header\.from\s*=\s*"?([^\s"]*)/i.exec(properties)?.[1]
    return author === undefined || author.toLowerCase() === domain
  })
}
