import { createHash, sign as signOctets } from 'node:crypto'

import { bodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonical-header.ts'
import { fieldsByName, selectedFields, signatureForHash } from './canonical-header.ts'
import { foldTags } from './fold.ts'
import type { PrivateKey } from './private-key.ts'
import { rawFields } from './raw-field.ts'
import { namesToSign } from './signed-fields.ts'

export interface SigningOptions {
  readonly domain: string
  readonly selector: string
  readonly key: PrivateKey
  readonly header: Canonicalization
  readonly body: Canonicalization
  /** t=, epoch seconds. The same input gives the same signature. */
  readonly signedAt: number
  /** x=, epoch seconds. */
  readonly expiresAt?: number
}

/** bh= of a body by its form, for one that was hashed as it streamed by. Plain data: it may cross threads. */
export type BodyDigests = Readonly<Partial<Record<Canonicalization, string>>>

/**
 * DKIM-Signature fields (RFC 6376), one for each entry of `signatures`, folded to 78 columns, with CRLF. `header` is the
 * section as it leaves, without the signature; it is read once and each kind of body hash is computed once.
 * @throws RangeError when `body` lacks a digest that is asked for
 */
export function signMessage(
  header: Uint8Array,
  body: Uint8Array | BodyDigests,
  signatures: readonly SigningOptions[],
): readonly string[] {
  const fields = fieldsByName(rawFields(header))
  const names = namesToSign(fields)
  const lowerNames = names.map((name) => name.toLowerCase())
  const digests = new Map<Canonicalization, string>()
  return signatures.map((options) => {
    const digest = digests.get(options.body) ?? digestOf(body, options.body)
    digests.set(options.body, digest)
    const unsigned = foldTags('DKIM-Signature', tagsOf(options, names, digest))
    const octets = Buffer.from(
      selectedFields(fields, lowerNames, options.header) + signatureForHash(`${unsigned}\r\n`, options.header),
      'latin1',
    )
    return `${unsigned}${foldBase64(signature(options.key, octets))}\r\n`
  })
}

/** `relaxed/simple`; one word is for the header, the body is `simple` then (RFC 6376 §3.5). @throws RangeError */
export function parseCanonicalization(text: string): Pick<SigningOptions, 'header' | 'body'> {
  const [header, body = 'simple'] = text.toLowerCase().split('/')
  if (!isCanonicalization(header) || !isCanonicalization(body))
    throw new RangeError(`'${text}' is not a canonicalization: relaxed or simple, for header/body`)
  return { header, body }
}

function isCanonicalization(word: string | undefined): word is Canonicalization {
  return word === 'simple' || word === 'relaxed'
}

/** bh= of a body. */
export function digestOf(body: Uint8Array | BodyDigests, canonicalization: Canonicalization): string {
  if (!(body instanceof Uint8Array)) {
    const digest = body[canonicalization]
    if (digest === undefined) throw new RangeError(`the body was not hashed in its ${canonicalization} form`)
    return digest
  }
  const hash = bodyHash(canonicalization, 'sha256')
  hash.update(body)
  return hash.digest().base64
}

/** b= comes last and empty: its value is appended when it is known. */
function tagsOf(options: SigningOptions, names: readonly string[], digest: string): string[] {
  return [
    'v=1',
    `a=${options.key.type}-sha256`,
    `c=${options.header}/${options.body}`,
    `d=${options.domain}`,
    `s=${options.selector}`,
    `t=${options.signedAt}`,
    ...(options.expiresAt === undefined ? [] : [`x=${options.expiresAt}`]),
    `h=${names.join(':')}`,
    `bh=${digest}`,
    'b=',
  ]
}

/** Base64 of the signature over these octets. */
export function signature(key: PrivateKey, octets: Buffer): string {
  return key.type === 'rsa'
    ? signOctets('sha256', octets, key.key).toString('base64')
    : // RFC 8463 §3: Ed25519 signs the hash of the octets.
      signOctets(undefined, createHash('sha256').update(octets).digest(), key.key).toString('base64')
}

/** On lines of their own behind `b=`. */
export function foldBase64(text: string): string {
  return (text.match(/.{1,76}/g) ?? []).map((line) => `\r\n\t${line}`).join('')
}
