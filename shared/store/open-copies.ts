import type { MessageId } from '../mail/message-id.ts'
import { firstKeyOf } from './message-key.ts'
import type { Dialect, Rows } from './sql.ts'

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

/** Copies of accepted messages of this host that have no final outcome, oldest first, from the one behind `after` on. */
export async function openCopies(
  rows: Rows,
  { join, by, isOwn }: Dialect,
  { after, acceptedAfter = 0, acceptedBefore }: OpenQuestion,
): Promise<OpenPage> {
  const { key, copy } = after ?? { key: firstKeyOf(acceptedAfter), copy: -1 }
  const found = (await rows(
    `SELECT k.message, m.id, k.n
     FROM ${by('copies', 'copies_open')} ${join} messages m ON m.message = k.message AND m.kind IN (1, 2)
     WHERE k.state < 3 AND (k.message, k.n) > (?, ?) AND k.message < ? AND ${isOwn.text}
     ORDER BY k.message, k.n LIMIT ${openRows}`,
    key,
    copy,
    firstKeyOf(acceptedBefore),
    ...isOwn.values,
  )) as readonly [number, MessageId, number][]
  const messages = new Map<MessageId, number[]>()
  for (const [, id, n] of found) {
    const copies = messages.get(id)
    if (copies === undefined) messages.set(id, [n])
    else copies.push(n)
  }
  const last = found.length < openRows ? undefined : found.at(-1)
  return { messages, ...(last === undefined ? {} : { next: { key: last[0], copy: last[2] } }) }
}

export const auditFact = 'audited since'

/** Since when the ledger of this host audits; absent: it does not yet. */
export function auditedSince(rows: Rows, { ownFact }: Dialect): Promise<number | undefined> {
  return factOf(rows, ownFact(auditFact))
}

export async function factOf(rows: Rows, name: string): Promise<number | undefined> {
  const [row] = (await rows('SELECT value FROM facts WHERE name = ?', name)) as readonly [unknown][]
  return typeof row?.[0] === 'number' ? row[0] : undefined
}
