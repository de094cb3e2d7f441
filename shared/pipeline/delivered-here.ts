import type { Envelope } from '../mail/envelope.ts'
import { withTag } from '../mail/tag.ts'
import { recipientOf } from './plan.ts'
import type { Router } from './router.ts'

/**
 * Whether the rules would have a recipient's copy delivered on this host in the end, behind all queues. `hops`: how many it has come
 * through. @throws TableError
 */
export async function isDeliveredHere(
  route: Router,
  envelope: Envelope,
  recipient: number,
  hops: number,
): Promise<boolean> {
  const visited = new Set<string>()
  let { tags } = envelope
  for (;;) {
    const next = await route({ ...envelope, tags }, recipientOf(envelope, recipient), hops + visited.size)
    if (next.kind !== 'stage') return next.kind === 'local'
    if (visited.has(next.queue)) return false
    visited.add(next.queue)
    tags = withTag(tags, next.tag)
  }
}
