/** What may become of one recipient's copy, in the order of the numbers in the database: only ever appended to. */
export const copyStates = [
  /** In a queue, or on its way there. */
  'queued',
  /** Tried, and waits for its next attempt. */
  'delayed',
  'held',
  'delivered',
  'relayed',
  'failed',
  'discarded',
  'removed',
  /** In the session: it was never accepted. */
  'refused',
] as const

export type CopyState = (typeof copyStates)[number]

/** Without a final outcome. */
export const openStates: readonly CopyState[] = ['queued', 'delayed', 'held']

export function stateNumber(state: CopyState): number {
  return copyStates.indexOf(state)
}

export function isOpenNumber(state: number): boolean {
  return state < openStates.length
}

/** How a message came to be known, in the order of the numbers in the database. */
export const messageKinds = ['unknown', 'received', 'made', 'refused'] as const

export type MessageKind = (typeof messageKinds)[number]

export function kindNumber(kind: MessageKind): number {
  return messageKinds.indexOf(kind)
}

/** It was taken over by us: it must come to an end that is known. */
export function isAcceptedKind(kind: number | undefined): boolean {
  return kind === kindNumber('received') || kind === kindNumber('made')
}
