import { firstRefused } from '../store/message-draft.ts'
import type { CopyState } from '../store/copy-state.ts'
import type { ChosenMessage, ChosenMessages } from '../store/found-message.ts'
import type { ManyAction } from './many.ts'
import type { GivenOrder } from './relay-order.ts'

/** What can be done to all that a search finds. */
export type BulkAction = ManyAction | 'reroute' | 'replay'

export const bulkActions: readonly BulkAction[] = [
  'schedule',
  'hold',
  'release',
  'expire',
  'remove',
  'reroute',
  'replay',
]

export interface BulkOrder {
  readonly action: BulkAction
  /** In the search language. */
  readonly query: string
  /** Epoch ms: its times count from then, and nothing is meant that was accepted later. */
  readonly asOf: number
  /** `reroute`: where to. */
  readonly way?: GivenOrder
  /** `replay`: a queue it passed; absent: from its beginning. */
  readonly from?: string
  /** `replay`: also to those who have it already. */
  readonly again?: boolean
  /** `replay`: a copy of each for this address; those it was for get nothing. */
  readonly copyTo?: string
  /** `release`, `remove`: also what a filter keeps back; a virus is released one by one all the same. */
  readonly quarantined?: boolean
}

/** No more messages at once than this: a search that finds more is made narrower. */
export const mostBulk = 50_000

/** What a search finds, in numbers. */
export interface BulkPreview {
  readonly messages: number
  /** There are more, which are left out. */
  readonly isCut: boolean
  /** Copies, by state; states without any are left out. */
  readonly states: Readonly<Partial<Record<CopyState, number>>>
  /** Messages with a copy that it can be done to, as the message store has them. */
  readonly counts: Readonly<Record<BulkAction, number>>
  /** `replay` with `again`. */
  readonly again: number
  /** `replay` with `copyTo`; whether that address has one of them already is seen when it comes to it. */
  readonly copied: number
}

/** Messages that the order would be carried out on. */
export function countFor({ counts, again, copied }: BulkPreview, order: Choice): number {
  if (order.action !== 'replay') return counts[order.action]
  if (order.copyTo !== undefined) return copied
  return order.again === true ? again : counts.replay
}

/** What of an order says which copies are meant. */
type Choice = Pick<BulkOrder, 'action' | 'again' | 'copyTo'>

/** Messages and which of their copies are meant. */
export interface BulkMessage {
  readonly id: ChosenMessage['id']
  readonly copies: ReadonlySet<number>
}

/** What each can be done to; `replay` sends nothing again to who has it, unless asked. */
const suitable: Readonly<Record<BulkAction, ReadonlySet<CopyState>>> = {
  schedule: new Set(['delayed']),
  hold: new Set(['queued', 'delayed']),
  release: new Set(['held']),
  expire: new Set(['queued', 'delayed', 'held']),
  remove: new Set(['queued', 'delayed', 'held']),
  reroute: new Set(['queued', 'delayed', 'held']),
  replay: new Set(['queued', 'delayed', 'held', 'failed', 'discarded', 'removed']),
}
const arrived: ReadonlySet<CopyState> = new Set(['delivered', 'relayed'])

export function previewOf({ messages, isCut }: ChosenMessages): BulkPreview {
  const states: Partial<Record<CopyState, number>> = {}
  for (const { copies } of messages) for (const { state } of copies) states[state] = (states[state] ?? 0) + 1
  const counted = bulkActions.map((action) => [action, meantBy({ action }, messages).length] as const)
  return {
    messages: messages.length,
    isCut,
    states,
    counts: Object.fromEntries(counted) as Record<BulkAction, number>,
    again: meantBy({ action: 'replay', again: true }, messages).length,
    copied: meantBy({ action: 'replay', copyTo: '' }, messages).length,
  }
}

/** Those with a copy that the order can be carried out on, and these copies. */
export function meantBy({ action, again, copyTo }: Choice, messages: readonly ChosenMessage[]): readonly BulkMessage[] {
  const alsoArrived = action === 'replay' && (again === true || copyTo !== undefined)
  const isMeant = (state: CopyState): boolean => suitable[action].has(state) || (alsoArrived && arrived.has(state))
  return messages.flatMap(({ id, copies }) => {
    const meant = copies.filter(({ n, state }) => n < firstRefused && isMeant(state)).map(({ n }) => n)
    return meant.length === 0 ? [] : [{ id, copies: new Set(meant) }]
  })
}
