import type { DmarcFact, OverrideReason, PublishedPolicy } from '../../../shared/aggregate-reports/facts.ts'
import type { DmarcPolicy, DmarcRecord } from '../../../shared/dmarc/record.ts'
import { asciiDomain } from '../../../shared/mail/ascii-domain.ts'
import { domainOf } from '../../../shared/mail/address.ts'
import type { Envelope } from '../../../shared/mail/envelope.ts'
import type { Authentication } from './findings.ts'

/** A check as the domain is told of it, before it is known what becomes of the message. */
export interface DmarcFinding extends Omit<DmarcFact, 'disposition' | 'reasons'> {
  /** What is to be done by DMARC alone. */
  readonly asked: DmarcPolicy
  readonly reasons: readonly OverrideReason[]
}

/** A message with more signatures is told by these. */
const mostSignatures = 20

/** Undefined where nobody asks for reports. Of addresses only domains are taken: a report is about servers, not people. */
export function dmarcFinding(checks: Authentication, envelope: Envelope): DmarcFinding | undefined {
  const { dmarc, dkim, spf } = checks
  const { evaluation, domain: author = '' } = dmarc
  const { address, helo = '' } = envelope.origin
  const [domain, headerFrom] = [hostName(evaluation?.recordAt ?? ''), hostName(author)]
  if (evaluation?.record.reportsTo === undefined || address === undefined) return undefined
  if (domain === undefined || headerFrom === undefined) return undefined
  return {
    domain,
    published: publishedOf(evaluation.record),
    sourceIp: address,
    asked: dmarc.disposition,
    reasons: reasonsOf(checks),
    dkim: evaluation.dkim ? 'pass' : 'fail',
    spf: evaluation.spf ? 'pass' : 'fail',
    headerFrom,
    envelopeFrom: envelope.reversePath === null ? '' : (hostName(domainOf(envelope.reversePath)) ?? ''),
    signatures: dkim.slice(0, mostSignatures).flatMap(({ domain: signer = '', selector, result }) => {
      const name = hostName(signer)
      const by = hostName(selector ?? '')
      return name === undefined ? [] : [{ domain: name, ...(by === undefined ? {} : { selector: by }), result }]
    }),
    spfCheck: {
      domain: hostName(spf.domain ?? helo) ?? '',
      scope: spf.identity === 'helo' ? 'helo' : 'mfrom',
      result: spf.result,
    },
  }
}

function publishedOf({ policy, subdomainPolicy, strictDkim, strictSpf, percent }: DmarcRecord): PublishedPolicy {
  return {
    p: policy,
    sp: subdomainPolicy,
    adkim: strictDkim ? 's' : 'r',
    aspf: strictSpf ? 's' : 'r',
    pct: percent,
  }
}

/** Why less was asked for than the policy says. An ARC chain is told as RFC 8617 §7.2.2 has it. */
function reasonsOf({ dmarc, arc }: Authentication): readonly OverrideReason[] {
  if (dmarc.overriddenBy !== undefined)
    return [{ type: 'local_policy', comment: `arc=pass as[${arc.instances}].d=${hostName(dmarc.overriddenBy) ?? ''}` }]
  if (dmarc.result === 'temperror') return [{ type: 'other', comment: 'DNS did not answer' }]
  return dmarc.result === 'fail' && dmarc.disposition !== dmarc.policy ? [{ type: 'sampled_out' }] : []
}

/** Names of strangers: what is no name of a host does not get into a report. */
function hostName(text: string): string | undefined {
  const name = asciiDomain(text)
  return name !== undefined && /^[a-z0-9_-][a-z0-9_.-]{0,252}$/.test(name) ? name : undefined
}
