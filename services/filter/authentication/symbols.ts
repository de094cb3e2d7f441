import type { SpfResult } from '../../../shared/spf/spf-check.ts'
import type { ScanSymbol } from '../engine.ts'
import type { Authentication } from './findings.ts'

/**
 * Scores of the authentication engine. Small on purpose: authentication says who sent a message, not whether it is wanted.
 * A default threshold of 5 is not reached by them alone; DMARC policies act beside the score.
 */
export const authenticationScores = {
  /** The domain says this client may not send for it (`-all`). */
  SPF_FAIL: 1.5,
  /** The same, half-heartedly (`~all`). */
  SPF_SOFTFAIL: 0.7,
  /** The SPF record is broken. */
  SPF_PERMERROR: 0.3,
  /** At least one signature verifies. */
  DKIM_VALID: -0.1,
  /** There are signatures and none verifies (a DNS failure does not count). */
  DKIM_INVALID: 0.5,
  /** The only valid signatures leave a part of the body unsigned (l=). */
  DKIM_PARTIAL: 0.5,
  /** The author's domain is proven by SPF or DKIM. */
  DMARC_PASS: -0.2,
  /** It is not, and the domain asks for nothing. */
  DMARC_FAIL: 0.5,
  /** It is not, and the domain asks for quarantine: junk whatever the score. */
  DMARC_QUARANTINE: 2,
  /** It is not, and the domain asks for rejection. After the 250 that means junk: a bounce would hit the forged sender. */
  DMARC_REJECT: 3,
  /** It is not, and a sealer of ours has seen that it was before. */
  ARC_TRUSTED: 0,
  /** No From field, several, or authors of several domains. */
  FROM_NOT_ONE: 1.5,
  /** The chain of ARC sets is broken. */
  ARC_INVALID: 0.2,
} as const

type SymbolName = keyof typeof authenticationScores

export function symbolsOf({ spf, dkim, dmarc, arc }: Authentication): readonly ScanSymbol[] {
  const symbols: ScanSymbol[] = []
  const add = (name: SymbolName, text: string): void => {
    symbols.push({ name, score: authenticationScores[name], text })
  }

  if (spf.result === 'fail') add('SPF_FAIL', `${spf.domain} does not send from this client${inItsWords(spf)}`)
  if (spf.result === 'softfail') add('SPF_SOFTFAIL', `${spf.domain} hardly sends from this client`)
  if (spf.result === 'permerror') add('SPF_PERMERROR', `the SPF record of ${spf.domain} is broken`)

  const valid = dkim.filter(({ result }) => result === 'pass')
  if (valid.length > 0) add('DKIM_VALID', `signed by ${valid.map(({ domain }) => domain).join(', ')}`)
  else if (dkim.length > 0 && dkim.every(({ result }) => result !== 'temperror'))
    add('DKIM_INVALID', dkim[0]?.reason ?? 'signature does not verify')
  if (valid.length > 0 && valid.every(({ unsignedOctets }) => unsignedOctets !== undefined))
    add('DKIM_PARTIAL', 'a part of the body is not signed')

  if (dmarc.result === 'pass') add('DMARC_PASS', `${dmarc.domain} is proven`)
  if (dmarc.result === 'permerror') add('FROM_NOT_ONE', 'not one author domain')
  if (dmarc.overriddenBy !== undefined) add('ARC_TRUSTED', `${dmarc.overriddenBy} saw ${dmarc.domain} proven`)
  else if (dmarc.result === 'fail')
    add(dmarcSymbols[dmarc.disposition], `${dmarc.domain} is not proven, policy ${dmarc.policy}`)

  if (arc.result === 'fail') add('ARC_INVALID', arc.reason ?? 'ARC chain is broken')
  return symbols
}

/** What the domain says about its fail (RFC 7208 §6.2): the word of a stranger, so printable. */
function inItsWords({ explanation }: SpfResult): string {
  if (explanation === undefined || explanation === '') return ''
  return `: ${explanation.replaceAll(/[^\x20-\x7e]/g, '?')}`
}

const dmarcSymbols = { none: 'DMARC_FAIL', quarantine: 'DMARC_QUARANTINE', reject: 'DMARC_REJECT' } as const
