import { parseAlgorithm, parseArcSignature } from './signature.ts'
import type { ParsedSignature } from './signature.ts'
import { canonicalField, signatureForHash } from './canonical-header.ts'
import type { Prepared, SignaturePreparation } from './prepare.ts'
import { asciiDomain } from './ascii-domain.ts'
import type { RawField } from './raw-field.ts'
import { rawValue } from './raw-field.ts'
import { decodeBase64, parseTagList } from './tag-list.ts'
import { verifySignature } from './verify.ts'
import type { VerifyOptions } from './verify.ts'

/** The ARC sets of a message, made ready for verification (RFC 8617 §5.2). Plain data: it may cross threads. */
export type PreparedArc =
  | { readonly kind: 'none' }
  | { readonly kind: 'broken'; readonly reason: string }
  | {
      readonly kind: 'chain'
      readonly instances: number
      /** ARC-Message-Signature of the newest set. */
      readonly message: Prepared
      /** ARC-Seals, newest first. */
      readonly seals: readonly Prepared[]
      /** Domain that sealed last. */
      readonly sealer: string
      /** ARC-Authentication-Results of the newest set, without its instance. */
      readonly results: string
    }

export interface ArcResult {
  readonly result: 'none' | 'pass' | 'fail' | 'temperror'
  readonly reason?: string
  readonly instances: number
  readonly sealer?: string
  readonly results?: string
}

export const maxInstances = 50
/** All ARC fields of a message together; each seal signs all below it, so their cost grows with the square. */
const maxOctets = 524_288

/** Before the body: reads the sets. @returns what gives the chain after the body. */
export function prepareArc(preparation: SignaturePreparation): () => PreparedArc {
  const sets = arcSets(preparation.fields)
  if (typeof sets === 'string') return () => ({ kind: 'broken', reason: sets })
  if (sets.length === 0) return () => ({ kind: 'none' })

  const newest = sets.at(-1) as ArcSet
  const message = preparation.add(newest.signature.raw, parseArcMessageSignature(newest.signature))
  const prepared = prepareSeals(sets).reverse()
  return () => ({
    kind: 'chain',
    instances: sets.length,
    message: message(),
    seals: prepared,
    sealer: newest.sealTags.get('d') ?? '',
    results: rawValue(newest.results.raw).replace(/^i *= *\d+ *; */, ''),
  })
}

/** Newest first; what fails for good ends the check, a DNS failure gives `temperror`. */
export async function verifyArc(arc: PreparedArc, options: VerifyOptions): Promise<ArcResult> {
  if (arc.kind === 'none') return { result: 'none', instances: 0 }
  if (arc.kind === 'broken') return { result: 'fail', reason: arc.reason, instances: 0 }
  const { instances, sealer, results } = arc
  const about = { instances, sealer, results }
  const checks = await Promise.all([arc.message, ...arc.seals].map((one) => verifySignature(one, options)))
  const wrong = checks.findIndex(({ result }) => result !== 'pass' && result !== 'temperror')
  if (wrong >= 0) {
    const field = wrong === 0 ? `ARC-Message-Signature i=${instances}` : `ARC-Seal i=${instances - wrong + 1}`
    return { ...about, result: 'fail', reason: `${field}: ${checks[wrong]?.reason ?? ''}` }
  }
  if (checks.some(({ result }) => result === 'temperror')) return { ...about, result: 'temperror' }
  return { ...about, result: 'pass' }
}

/** The sets of a message, 1 to N, or what is wrong with them (RFC 8617 §5.2 steps 1 to 3). */
export function arcSets(fields: ReadonlyMap<string, readonly RawField[]>): readonly ArcSet[] | string {
  const seals = fields.get('arc-seal') ?? []
  const signatures = fields.get('arc-message-signature') ?? []
  const results = fields.get('arc-authentication-results') ?? []
  const octets = [...seals, ...signatures, ...results].reduce((sum, field) => sum + field.raw.length, 0)
  return octets > maxOctets ? 'ARC fields are too long' : collectSets(seals, signatures, results)
}

export interface ArcSet {
  readonly seal: RawField
  readonly sealTags: ReadonlyMap<string, string>
  readonly signature: RawField
  readonly results: RawField
}

function collectSets(
  seals: readonly RawField[],
  signatures: readonly RawField[],
  results: readonly RawField[],
): ArcSet[] | string {
  const count = seals.length
  if (count > maxInstances) return 'more than 50 sets'
  if (signatures.length !== count || results.length !== count) return 'incomplete set'
  const sealOf = byInstance(seals, tagInstance)
  const signatureOf = byInstance(signatures, tagInstance)
  const resultsOf = byInstance(results, resultsInstance)
  const sets: ArcSet[] = []
  for (let instance = 1; instance <= count; instance += 1) {
    const seal = sealOf.get(instance)
    const signature = signatureOf.get(instance)
    const found = resultsOf.get(instance)
    if (seal === undefined || signature === undefined || found === undefined) return `set ${instance} is incomplete`
    const sealTags = parseTagList(rawValue(seal.raw)) ?? new Map<string, string>()
    const chain = sealTags.get('cv')?.toLowerCase()
    if (chain !== (instance === 1 ? 'none' : 'pass')) return `set ${instance} says cv=${chain ?? ''}`
    sets.push({ seal, sealTags, signature, results: found })
  }
  return sets
}

function byInstance(
  fields: readonly RawField[],
  instanceOf: (value: string) => number | undefined,
): ReadonlyMap<number, RawField> {
  const byNumber = new Map<number, RawField>()
  for (const field of fields) {
    const instance = instanceOf(rawValue(field.raw))
    if (instance !== undefined) byNumber.set(instance, field)
  }
  return byNumber
}

function tagInstance(value: string): number | undefined {
  return instanceNumber(parseTagList(value)?.get('i') ?? '')
}

function resultsInstance(value: string): number | undefined {
  return instanceNumber(/^i *= *(\d{1,2}) *;/.exec(value)?.[1] ?? '')
}

function instanceNumber(text: string): number | undefined {
  return /^\d{1,2}$/.test(text) ? Number(text) : undefined
}

function parseArcMessageSignature(field: RawField): ParsedSignature {
  const parsed = parseArcSignature(field.raw)
  if (parsed.kind === 'signature' && parsed.tags.signedNames.includes('arc-seal'))
    return { kind: 'void', reason: 'signs an ARC-Seal' }
  return parsed
}

/** Oldest first. Each seal signs its own set and all sets below it (RFC 8617 §5.1.1). */
function prepareSeals(sets: readonly ArcSet[]): Prepared[] {
  let below = ''
  return sets.map((set) => {
    const { seal, signature, results } = set
    const upTo = below + canonicalField(results.raw, 'relaxed') + canonicalField(signature.raw, 'relaxed')
    below = upTo + canonicalField(seal.raw, 'relaxed')
    return prepareSeal(set, upTo + signatureForHash(seal.raw, 'relaxed'))
  })
}

/** What a seal above these sets signs first. */
export function canonicalSets(sets: readonly ArcSet[]): string {
  return sets
    .flatMap(({ results, signature, seal }) => [results, signature, seal])
    .map(({ raw }) => canonicalField(raw, 'relaxed'))
    .join('')
}

function prepareSeal({ sealTags }: ArcSet, signed: string): Prepared {
  const algorithm = parseAlgorithm(sealTags.get('a') ?? '')
  const signature = decodeBase64(sealTags.get('b') ?? '')
  const domain = asciiDomain(sealTags.get('d') ?? '')
  const selector = sealTags.get('s') ?? ''
  if (algorithm === undefined || algorithm.hash === 'sha1') return { kind: 'void', reason: 'unknown algorithm' }
  if (signature === undefined || domain === '' || selector === '')
    return { kind: 'void', reason: 'b=, d= or s= is missing' }
  if (sealTags.has('h')) return { kind: 'void', reason: 'h= is not allowed' }
  return {
    kind: 'prepared',
    tags: {
      domain,
      selector,
      ...algorithm,
      header: 'relaxed',
      body: 'relaxed',
      signedNames: [],
      bodyHash: '',
      signature: signature.toString('base64'),
      identity: `@${domain}`,
    },
    signed: Buffer.from(signed, 'latin1'),
    bodyMatches: true,
    unsignedOctets: 0,
  }
}
