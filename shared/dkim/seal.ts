import { arcSets, canonicalSets, maxInstances } from './arc.ts'
import { canonicalField, fieldsByName, selectedFields, signatureForHash } from './canonical-header.ts'
import { foldTags } from './fold.ts'
import type { PrivateKey } from './private-key.ts'
import type { RawField } from './raw-field.ts'
import { rawFields } from './raw-field.ts'
import type { BodyDigests } from './sign.ts'
import { digestOf, foldBase64, signature } from './sign.ts'
import { namesToSign } from './signed-fields.ts'

export interface SealingOptions {
  readonly domain: string
  readonly selector: string
  readonly key: PrivateKey
  /** t=, epoch seconds. The same input gives the same set. */
  readonly sealedAt: number
  /** cv=: what our check of the chain found; a chain that failed is not sealed. */
  readonly chain: 'none' | 'pass'
  /** What stands behind the colon of our Authentication-Results, folded as it is, without the last CRLF. ASCII. */
  readonly results: string
}

/**
 * The ARC set that goes on top of a message (RFC 8617 §5.1), folded, with CRLF; `undefined` when the message does not have the chain
 * that was checked, or has 50 sets already.
 */
export function sealMessage(
  header: Uint8Array,
  body: Uint8Array | BodyDigests,
  options: SealingOptions,
): string | undefined {
  const fields = fieldsByName(rawFields(header))
  const sets = arcSets(fields)
  if (typeof sets === 'string' || (sets.length === 0) !== (options.chain === 'none')) return undefined
  if (sets.length >= maxInstances) return undefined
  const instance = sets.length + 1
  const results = `ARC-Authentication-Results: i=${instance};${options.results}\r\n`
  const message = messageSignature(fields, body, instance, options)
  const below = canonicalSets(sets) + canonicalField(results, 'relaxed') + canonicalField(message, 'relaxed')
  return seal(below, instance, options) + message + results
}

/** As a DKIM-Signature of relaxed/relaxed that signs DKIM-Signatures, too, and no field of ARC (§4.1.2). */
function messageSignature(
  fields: ReadonlyMap<string, readonly RawField[]>,
  body: Uint8Array | BodyDigests,
  instance: number,
  options: SealingOptions,
): string {
  const names = [
    ...namesToSign(fields),
    ...(fields.get('dkim-signature') ?? []).slice(0, 8).map(() => 'DKIM-Signature'),
  ]
  const unsigned = foldTags('ARC-Message-Signature', [
    ...commonTags(instance, options),
    'c=relaxed/relaxed',
    `h=${names.join(':')}`,
    `bh=${digestOf(body, 'relaxed')}`,
    'b=',
  ])
  const lowerNames = names.map((name) => name.toLowerCase())
  return signed(unsigned, selectedFields(fields, lowerNames, 'relaxed'), options.key)
}

function seal(below: string, instance: number, options: SealingOptions): string {
  const unsigned = foldTags('ARC-Seal', [...commonTags(instance, options), `cv=${options.chain}`, 'b='])
  return signed(unsigned, below, options.key)
}

function commonTags(instance: number, { key, domain, selector, sealedAt }: SealingOptions): readonly string[] {
  return [`i=${instance}`, `a=${key.type}-sha256`, `d=${domain}`, `s=${selector}`, `t=${sealedAt}`]
}

/** The field with b= over `above` and itself. */
function signed(unsigned: string, above: string, key: PrivateKey): string {
  const octets = Buffer.from(above + signatureForHash(`${unsigned}\r\n`, 'relaxed'), 'latin1')
  return `${unsigned}${foldBase64(signature(key, octets))}\r\n`
}
