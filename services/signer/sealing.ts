import type { Configuration } from '../../shared/config/model.ts'
import { methodResults } from '../../shared/dkim/authentication-results.ts'
import { ownResults, prependedFields } from '../../shared/dkim/prepended-fields.ts'
import { rawValue } from '../../shared/dkim/raw-field.ts'
import type { SealingOptions } from '../../shared/dkim/seal.ts'
import { parseTagList } from '../../shared/dkim/tag-list.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import type { KeyRing } from './key-ring.ts'

export type Sealing =
  | { readonly kind: 'seal'; readonly options: SealingOptions }
  | { readonly kind: 'unusable'; readonly reason: string }

/**
 * The seal of a message that others sent: our filter has written down what it found, and the chain of those who sealed before
 * holds, or there is none. Undefined for any other, and for what is sealed already: our own mail has DKIM, a chain that is
 * broken stays so (RFC 8617 §5.1.2).
 */
export async function sealingOf(
  { envelope, edits }: StageMessage,
  { authservId, pipeline: { arcSeal } }: Configuration,
  ring: KeyRing,
): Promise<Sealing | undefined> {
  if (arcSeal === undefined) return undefined
  const { domain } = arcSeal
  const results = ownResults(edits, authservId)
  const chain = results === undefined ? undefined : chainOf(results)
  if (results === undefined || chain === undefined) return undefined
  const choice = await ring.choose([domain])
  if (choice.kind !== 'keys') return choice.kind === 'unusable' ? choice : undefined
  const [chosen] = choice.keys
  if (chosen === undefined || isSealedBy(domain, chosen.selector, edits)) return undefined
  const { selector } = chosen
  const sealedAt = Math.trunc(envelope.receivedAt / 1000)
  return { kind: 'seal', options: { domain, selector, key: chosen.key, sealedAt, chain, results } }
}

/** cv= by our own check (§4.1.3); undefined for a chain that nobody checked, or that does not hold. */
function chainOf(results: string): 'none' | 'pass' | undefined {
  const [only, ...more] = methodResults(rawValue(`:${results}`)).filter(({ method }) => method === 'arc')
  const result = more.length === 0 ? only?.result : undefined
  return result === 'none' || result === 'pass' ? result : undefined
}

function isSealedBy(domain: string, selector: string, edits: readonly HeaderEdit[]): boolean {
  return prependedFields(edits, 'arc-seal')
    .map((raw) => parseTagList(rawValue(raw)))
    .some((tags) => tags?.get('d') === domain && tags.get('s') === selector)
}
