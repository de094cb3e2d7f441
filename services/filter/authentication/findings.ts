import type { ArcResult } from '../../../shared/dkim/arc.ts'
import type { SignatureResult } from '../../../shared/dkim/verify.ts'
import type { AuthenticationFindings } from '../engine.ts'
import type { DmarcResult } from './dmarc.ts'
import type { SpfResult } from '../../../shared/spf/spf-check.ts'

/** What the four checks found about one message. */
export interface Authentication {
  readonly spf: SpfResult
  readonly dkim: readonly SignatureResult[]
  readonly dmarc: DmarcResult
  readonly arc: ArcResult
}

/** In the words of Authentication-Results (RFC 8601 §2.2), each result without semicolon and folding. */
export function findingsOf({ spf, dkim, dmarc, arc }: Authentication): AuthenticationFindings {
  return {
    spf: [words('spf', spf.result, undefined, [[`smtp.${spf.identity}`, spf.value]])],
    dkim: dkim.length === 0 ? ['dkim=none'] : dkim.map(dkimFinding),
    dmarc: [
      words('dmarc', dmarc.result, dmarcComment(dmarc), [
        ['header.from', dmarc.domain],
        ['policy.dmarc', dmarc.result === 'fail' ? dmarc.disposition : dmarc.policy],
      ]),
    ],
    arc: [words('arc', arc.result, arcComment(arc), [])],
  }
}

function dkimFinding(one: SignatureResult): string {
  const key = one.keyBits === undefined ? [] : [`${one.keyBits}-bit key`]
  const unsigned = one.unsignedOctets === undefined ? [] : [`${one.unsignedOctets} octets unsigned`]
  const reason = one.reason === undefined ? [] : [one.reason]
  const testing = one.testing === true ? ['testing'] : []
  const comment = [...reason, ...key, ...unsigned, ...testing].join(', ')
  return words('dkim', one.result, comment, [
    ['header.d', one.domain],
    ['header.i', one.identity === `@${one.domain}` ? undefined : one.identity],
    ['header.s', one.selector],
    ['header.a', one.algorithm],
    ['header.b', one.signature],
  ])
}

function dmarcComment({ reason, overriddenBy }: DmarcResult): string | undefined {
  return overriddenBy === undefined ? reason : `${overriddenBy} saw it pass`
}

/** Who sealed is no registered property of arc (RFC 8617 §10.2). */
function arcComment({ reason, instances, sealer }: ArcResult): string | undefined {
  if (reason !== undefined) return reason
  return instances === 0 ? undefined : `i=${instances}, sealed by ${sealer}`
}

function words(
  method: string,
  result: string,
  comment: string | undefined,
  properties: readonly (readonly [string, string | undefined])[],
): string {
  const shown = properties.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name}=${propertyValue(value)}`],
  )
  return [
    `${method}=${result}`,
    ...(comment === undefined || comment === '' ? [] : [`(${commentText(comment)})`]),
    ...shown,
  ].join(' ')
}

const maxValue = 200

/** A pvalue: as it is when it is a token or an address of such, else quoted. Comes from strangers: ASCII, one line, short. */
export function propertyValue(text: string): string {
  const value = printable(text).slice(0, maxValue)
  if (/^[A-Za-z0-9!#$%&'*+\-.^_`{|}~]*@?[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+$/.test(value)) return value
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}

function commentText(text: string): string {
  return printable(text)
    .slice(0, maxValue)
    .replaceAll(/[()\\;]/g, ' ')
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}
