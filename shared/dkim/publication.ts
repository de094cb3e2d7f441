import type { Resolver } from '../resolver.ts'
import type { DnsRecord } from './dns-record.ts'
import { keyOf } from './public-key.ts'

/** What the DNS has under the name of a key of ours. */
export type Publication =
  | { readonly kind: 'published' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'another' }
  | { readonly kind: 'unusable'; readonly reason: string }
  /** Nobody knows now. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** Asks whether a verifier would find this key (RFC 6376 §3.6.2). */
export async function publicationOf(
  { name, value }: Pick<DnsRecord, 'name' | 'value'>,
  resolver: Pick<Resolver, 'txt'>,
): Promise<Publication> {
  const answer = await resolver.txt(name)
  if (answer.kind === 'failed') return { kind: 'unknown', reason: answer.error.message }
  if (answer.kind === 'absent' || answer.records.length === 0) return { kind: 'missing' }
  const [published, ours] = [keyOf(answer.records), keyOf([value])]
  if (published.kind === 'unusable') return { kind: 'unusable', reason: published.reason }
  return { kind: ours.kind === 'key' && published.key.equals(ours.key) ? 'published' : 'another' }
}
