import type { SignatureResult } from '../../../shared/dkim/verify.ts'
import { organisationalDomain } from '../../../shared/dmarc/organisational-domain.ts'
import { dmarcRecordAmong } from '../../../shared/dmarc/record.ts'
import type { DmarcPolicy, DmarcRecord } from '../../../shared/dmarc/record.ts'
import type { LookUp } from '../../../shared/resolver.ts'
import type { SpfResult } from '../../../shared/spf/spf-check.ts'

/** DMARC of a message (RFC 7489 §6.6). */
export interface DmarcResult {
  readonly result: 'pass' | 'fail' | 'none' | 'temperror' | 'permerror'
  readonly reason?: string
  /** Domain of the author. */
  readonly domain?: string
  /** What the domain asks for when the check fails. */
  readonly policy?: DmarcPolicy
  /** What is to be done about this message: the policy, if it fails and `pct` hits it. */
  readonly disposition: DmarcPolicy
  /** It fails, and this sealer of an ARC chain has seen it pass. */
  readonly overriddenBy?: string
  /** Absent: there is no policy. */
  readonly evaluation?: DmarcEvaluation
}

/** How a policy was applied. */
export interface DmarcEvaluation {
  /** The domain that has the record: the author's, or its organisational domain. */
  readonly recordAt: string
  readonly record: DmarcRecord
  /** Whether a signature, or SPF, passes and is aligned. */
  readonly dkim: boolean
  readonly spf: boolean
}

export interface DmarcInput {
  readonly fromFields: number
  readonly authors: readonly string[]
  readonly spf: SpfResult
  readonly dkim: readonly SignatureResult[]
  /** 0 to 99, the same for the same message: hit by `pct` when below it. */
  readonly sample: number
}

type AskTxt = (name: string) => Promise<LookUp<string>>

/** Alignment and policy; a DNS failure is `temperror`, never a fail (RFC 7489 §6.6.3, §8). */
export async function checkDmarc(input: DmarcInput, txt: AskTxt): Promise<DmarcResult> {
  const [domain, ...others] = input.authors
  if (input.fromFields !== 1 || domain === undefined || others.length > 0)
    return { result: 'permerror', reason: 'not one author domain', disposition: 'none' }
  const found = await discover(domain, txt)
  if (found === 'failed') return { result: 'temperror', domain, disposition: 'none' }
  if (found === undefined) return { result: 'none', domain, disposition: 'none' }
  const { record, recordAt } = found
  const isAlignedSpf = input.spf.domain !== undefined && isAligned(domain, input.spf.domain, record.strictSpf)
  const spf = isAlignedSpf ? [input.spf.result] : []
  const dkim = input.dkim
    .filter((one) => one.domain !== undefined && isAligned(domain, one.domain, record.strictDkim))
    .map(({ result }) => result)
  const aligned: readonly string[] = [...spf, ...dkim]
  const evaluation = { recordAt, record, dkim: dkim.includes('pass'), spf: spf.includes('pass') }
  const about = { domain, policy: found.policy, evaluation }
  if (aligned.includes('pass')) return { ...about, result: 'pass', disposition: 'none' }
  if (aligned.includes('temperror')) return { ...about, result: 'temperror', disposition: 'none' }
  return { ...about, result: 'fail', disposition: sampled(found.policy, input.sample < record.percent) }
}

/** Strict: the same domain; relaxed: the same organisational domain (RFC 7489 §3.1). */
function isAligned(author: string, identifier: string, strict: boolean): boolean {
  const other = identifier.toLowerCase()
  return author === other || (!strict && organisationalDomain(author) === organisationalDomain(other))
}

/** A message `pct` does not hit gets the next milder policy (RFC 7489 §6.6.4). */
function sampled(policy: DmarcPolicy, hit: boolean): DmarcPolicy {
  if (hit) return policy
  return policy === 'reject' ? 'quarantine' : 'none'
}

interface Discovered {
  readonly record: DmarcRecord
  readonly recordAt: string
  readonly policy: DmarcPolicy
}

/** The record of the domain itself, else of its organisational domain (RFC 7489 §6.6.3). */
async function discover(domain: string, txt: AskTxt): Promise<Discovered | 'failed' | undefined> {
  const own = await ask(domain, txt)
  if (own === 'failed') return own
  if (own !== undefined) return { record: own, recordAt: domain, policy: own.policy }
  const organisation = organisationalDomain(domain)
  if (organisation === domain) return undefined
  const above = await ask(organisation, txt)
  if (above === 'failed' || above === undefined) return above
  return { record: above, recordAt: organisation, policy: above.subdomainPolicy }
}

async function ask(domain: string, txt: AskTxt): Promise<DmarcRecord | 'failed' | undefined> {
  const answer = await txt(`_dmarc.${domain}`)
  switch (answer.kind) {
    case 'failed':
      return 'failed'
    case 'absent':
      return undefined
    case 'found':
      return recordAmong(answer.records)
  }
}

/** Parsed once for as long as the resolver keeps the answer. */
function recordAmong(records: readonly string[]): DmarcRecord | undefined {
  const known = parsed.get(records)
  if (known !== undefined) return known.record
  const record = dmarcRecordAmong(records)
  parsed.set(records, { record })
  return record
}

const parsed = new WeakMap<readonly string[], { readonly record: DmarcRecord | undefined }>()
