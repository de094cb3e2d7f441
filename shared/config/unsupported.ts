import type { Span } from './diagnostic.ts'
import type { TokenReader } from './token-reader.ts'

/** What the grammar knows and this version does not carry out, and what to use instead. A line goes when the feature comes. */
const instead = {
  'filter on the socket': 'remove it; checks are made in the queue "filter"',
  'filter on a relay': 'remove it; outgoing mail is signed in the queue "sign"',
} as const

export type UnsupportedFeature = keyof typeof instead

/** Records the refusal and goes on, so that the other faults of the statement are found too. */
export function refuseUnsupported(reader: TokenReader, feature: UnsupportedFeature, span: Span): void {
  reader.report('unsupported', `${feature} is not supported by this version`, span, instead[feature])
}
