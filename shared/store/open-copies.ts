import type { MessageId } from '../mail/message-id.ts'
import { valueOf } from './database.ts'
import type { Statement, StoreDatabase } from './database.ts'
import { firstKeyOf } from './message-key.ts'

/** Of the messages accepted in that time, epoch ms. */
export interface OpenQuestion {
  readonly after?: CopyPlace
  readonly acceptedAfter?: number
  readonly acceptedBefore: number
}

interface CopyPlace {
  readonly key: number
  readonly copy: number
}

export interface OpenPage {
  /** Recipients by message. */
  readonly messages: ReadonlyMap<MessageId, readonly number[]>
  /** `after` of the next page; absent: there is none. */
  readonly next?: CopyPlace
}

const openRows = 5_000

export function prepareOpen(database: StoreDatabase): Statement {
  return database
    .prepare(
      `SELECT c.message, m.id, c.n
       FROM copies c INDEXED BY copies_open CROSS JOIN messages m ON m.message = c.message AND m.kind IN (1, 2)
       WHERE c.state < 3 AND (c.message, c.n) > (?, ?) AND c.message < ? ORDER BY c.message, c.n LIMIT ${openRows}`,
    )
    .raw()
}

/** Copies of accepted messages that have no final outcome, oldest first, from the one behind `after` on. */
export function openCopies(open: Statement, { after, acceptedAfter = 0, acceptedBefore }: OpenQuestion): OpenPage {
  const { key, copy } = after ?? { key: firstKeyOf(acceptedAfter), copy: -1 }
  const rows = open.all(key, copy, firstKeyOf(acceptedBefore)) as readonly [number, MessageId, number][]
  const messages = new Map<MessageId, number[]>()
  for (const [, id, n] of rows) {
    const copies = messages.get(id)
    if (copies === undefined) messages.set(id, [n])
    else copies.push(n)
  }
  const last = rows.length < openRows ? undefined : rows.at(-1)
  return { messages, ...(last === undefined ? {} : { next: { key: last[0], copy: last[2] } }) }
}

/** Since when the ledger audits this store; absent: it does not yet. */
export function auditedSince(database: StoreDatabase): number | undefined {
  const since = valueOf(database, "SELECT value FROM facts WHERE name = 'audited since'")
  return typeof since === 'number' ? since : undefined
}
