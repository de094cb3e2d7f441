import type { ArcResult } from '../../../shared/dkim/arc.ts'
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

/** `dmarc=pass` for this author among the results (RFC 8601 §2.2) of ARC-Authentication-Results. */
export function sawDmarcPass(results: string, domain: string): boolean {
  return withoutComments(results)
    .split(';')
    .slice(1)
    .some((finding) => {
      const [, properties] = /^\s*dmarc\s*=\s*pass(?=\s|$)(.*)$/is.exec(finding) ?? []
      if (properties === undefined) return false
      const author = /\sheader\.from\s*=\s*"?([^\s"]*)/i.exec(properties)?.[1]
      return author === undefined || author.toLowerCase() === domain
    })
}

/** Comments out, quoted strings without what would divide findings. */
function withoutComments(text: string): string {
  let plain = ''
  let depth = 0
  let quoted = false
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] as string
    if ((quoted || depth > 0) && character === '\\') index += 1
    else if (quoted) {
      quoted = character !== '"'
      plain += character === ';' ? ' ' : character
    } else if (character === '(') depth += 1
    else if (depth > 0) depth -= character === ')' ? 1 : 0
    else {
      quoted = character === '"'
      plain += character
    }
  }
  return plain
}
