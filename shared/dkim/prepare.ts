import type { BodyHash } from './body-hash.ts'
import { bodyHash } from './body-hash.ts'
import { fieldsByName, selectedFields, signatureForHash } from './canonical-header.ts'
import type { ParsedSignature, SignatureTags } from './signature.ts'
import { parseSignature } from './signature.ts'
import type { RawField } from './raw-field.ts'

/** A signature with all that the message contributes to its check; what is missing is the key. Plain data: it may cross threads. */
export interface PreparedSignature {
  readonly kind: 'prepared'
  readonly tags: SignatureTags
  /** The octets that were signed. */
  readonly signed: Uint8Array
  /** The body has the hash the signature says. */
  readonly bodyMatches: boolean
  /** l=: octets of the canonical body behind the signed ones. */
  readonly unsignedOctets: number
}

export type Prepared = PreparedSignature | Extract<ParsedSignature, { readonly kind: 'void' }>

/** Signatures of one message looked at beyond this number only cost time (RFC 6376 §8.4). */
const maxSignatures = 12

/** The DKIM signatures of a message, top to bottom; each kind of body hash is computed once, in one pass. */
export class SignaturePreparation {
  readonly #fields: ReadonlyMap<string, readonly RawField[]>
  readonly #hashes = new Map<string, BodyHash>()

  constructor(fields: readonly RawField[]) {
    this.#fields = fieldsByName(fields)
  }

  get fields(): ReadonlyMap<string, readonly RawField[]> {
    return this.#fields
  }

  /** Before the body: reads the signatures. @returns what turns them into prepared ones after the body. */
  dkim(): () => readonly Prepared[] {
    const raws = (this.#fields.get('dkim-signature') ?? []).slice(0, maxSignatures).map((field) => field.raw)
    const finish = raws.map((raw) => this.add(raw, parseSignature(raw)))
    return () => finish.map((one) => one())
  }

  /** Takes note of one signature; call what it returns after the body. */
  add(raw: string, parsed: ParsedSignature): () => Prepared {
    if (parsed.kind === 'void') return () => parsed
    const { tags } = parsed
    const digest = this.#bodyHash(tags)
    return () => {
      const { base64, octets } = digest()
      const limit = tags.bodyLimit ?? octets
      const text = selectedFields(this.#fields, tags.signedNames, tags.header) + signatureForHash(raw, tags.header)
      return {
        kind: 'prepared',
        tags,
        signed: Buffer.from(text, 'latin1'),
        bodyMatches: base64 === tags.bodyHash && limit <= octets,
        unsignedOctets: Math.max(0, octets - limit),
      }
    }
  }

  /** The next octets of the body. */
  body(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk)
  }

  #bodyHash(tags: SignatureTags): () => { readonly base64: string; readonly octets: number } {
    const name = `${tags.body} ${tags.hash} ${tags.bodyLimit ?? ''}`
    let hash = this.#hashes.get(name)
    if (hash === undefined) {
      hash = onceDigested(bodyHash(tags.body, tags.hash, tags.bodyLimit))
      this.#hashes.set(name, hash)
    }
    return () => hash.digest()
  }
}

function onceDigested(hash: BodyHash): BodyHash {
  let digest: ReturnType<BodyHash['digest']> | undefined
  return {
    update: (chunk) => hash.update(chunk),
    digest: () => (digest ??= hash.digest()),
  }
}
