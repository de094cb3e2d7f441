import { bodyHash } from '../../shared/dkim/body-hash.ts'
import type { Canonicalization } from '../../shared/dkim/canonical-header.ts'
import type { BodyDigests } from '../../shared/dkim/sign.ts'

/**
 * Reads a body once and hashes it in each of these forms; one piece at a time is in memory, and others get their turn between two.
 * @throws what reading throws, and the reason of `signal`
 */
export async function streamedDigests(
  body: AsyncIterable<Buffer>,
  forms: ReadonlySet<Canonicalization>,
  signal: AbortSignal,
): Promise<BodyDigests> {
  const hashes = [...forms].map((form) => [form, bodyHash(form, 'sha256')] as const)
  for await (const piece of body) {
    signal.throwIfAborted()
    for (const [, hash] of hashes) hash.update(piece)
  }
  return Object.fromEntries(hashes.map(([form, hash]) => [form, hash.digest().base64]))
}
