import type { SignatureResult } from '../../../shared/dkim/verify.ts'
import type { LookUp } from '../../../shared/resolver.ts'
import { organisationalDomain } from './organisational-domain.ts'
import type { SpfResult } from '../../../shared/spf/spf-check.ts'

export type DmarcPolicy = 'none' | 'quarantine' | 'reject'

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
  const about = { domain, policy: found.policy }
  const { record } = found
  const spfDomain = input.spf.domain
  const aligned = [
    ...(spfDomain === undefined
      ? []
      : [{ result: input.spf.result, aligned: isAligned(domain, spfDomain, record.strictSpf) }]),
    ...input.dkim.map((one) => ({
      result: one.result,
      aligned: one.domain !== undefined && isAligned(domain, one.domain, record.strictDkim),
    })),
  ].filter((identifier) => identifier.aligned)
  if (aligned.some(({ result }) => result === 'pass')) return { ...about, result: 'pass', disposition: 'none' }
  if (aligned.some(({ result }) => result === 'temperror'))
    return { ...about, result: 'temperror', disposition: 'none' }
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

interface DmarcRecord {
  readonly policy: DmarcPolicy
  readonly subdomainPolicy: DmarcPolicy
  readonly strictDkim: boolean
  readonly strictSpf: boolean
  readonly percent: number
}

interface Discovered {
  readonly record: DmarcRecord
  readonly policy: DmarcPolicy
}

/** The record of the domain itself, else of its organisational domain (RFC 7489 §6.6.3). */
async function discover(domain: string, txt: AskTxt): Promise<Discovered | 'failed' | undefined> {
  const own = await ask(domain, txt)
  if (own === 'failed') return own
  if (own !== undefined) return { record: own, policy: own.policy }
  const organisation = organisationalDomain(domain)
  if (organisation === domain) return undefined
  const above = await ask(organisation, txt)
  if (above === 'failed' || above === undefined) return above
  return { record: above, policy: above.subdomainPolicy }
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
  const dmarc = records.filter((record) => /^v=DMARC1[ \t]*(?:;|$)/.test(record))
  const record = dmarc.length === 1 ? parseDmarc(dmarc[0] ?? '') : undefined
  parsed.set(records, { record })
  return record
}

const parsed = new WeakMap<readonly string[], { readonly record: DmarcRecord | undefined }>()

/** Tags with errors count as absent (RFC 7489 §6.3); without a valid p= reports alone are asked for, or nothing. */
export function parseDmarc(text: string): DmarcRecord | undefined {
  const tags = new Map<string, string>()
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, Math.max(equals, 0)).trim().toLowerCase()
    if (name !== '' && !tags.has(name))
      tags.set(
        name,
        part
          .slice(equals + 1)
          .trim()
          .toLowerCase(),
      )
  }
  const policy = policyOf(tags.get('p')) ?? (tags.has('rua') ? 'none' : undefined)
  if (policy === undefined) return undefined
  const percent = /^\d{1,3}$/.test(tags.get('pct') ?? '') ? Math.min(Number(tags.get('pct')), 100) : 100
  return {
    policy,
    subdomainPolicy: policyOf(tags.get('sp')) ?? policy,
    strictDkim: tags.get('adkim') === 's',
    strictSpf: tags.get('aspf') === 's',
    percent,
  }
}

function policyOf(word: string | undefined): DmarcPolicy | undefined {
  return word === 'none' || word === 'quarantine' || word === 'reject' ? word : undefined
}
