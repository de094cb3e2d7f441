import { SmtpError, isPositive, replies as ourReplies } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import type { PooledResult } from './pool.ts'
import type { Transaction } from './transaction.ts'

/** Every server must take this many recipients in one transaction (RFC 5321 §4.5.3.1.8). */
const recipientsAtOnce = 100

/**
 * Sends a message with many recipients in several transactions. Those for whom the server says "too many recipients" go in
 * another one at once, as long as it takes some (§4.5.3.1.10).
 * @throws what `send` throws before anything was achieved; later trouble is the answer for the recipients it concerns
 */
export async function sendInParts(
  transaction: Transaction,
  send: (part: Transaction) => Promise<PooledResult>,
): Promise<PooledResult> {
  const { recipients } = transaction
  const first = await send({ ...transaction, recipients: recipients.slice(0, recipientsAtOnce) })
  const replies = [...first.replies]
  let open = recipients.map((_, index) => index).slice(recipientsAtOnce)
  open.push(...refusedAsTooMany(first))
  let last = first
  while (open.length > 0 && !last.untouched) {
    const part = open.slice(0, recipientsAtOnce)
    last = await laterPart(last, () => send({ ...transaction, recipients: pick(recipients, part) }))
    for (const [position, index] of part.entries()) replies[index] = last.replies[position] ?? ourReplies.tryLater
    open = [...open.slice(part.length), ...refusedAsTooMany(last).map((position) => part[position] ?? 0)]
  }
  for (const index of open) replies[index] = last.replies[0] ?? ourReplies.tryLater
  return { ...first, replies }
}

/** Positions of those to offer again. Each round takes some, so it comes to an end. */
function refusedAsTooMany({ replies }: PooledResult): readonly number[] {
  if (!replies.some(isPositive)) return []
  return [...replies.keys()].filter((position) => isTooMany(replies[position]))
}

function isTooMany(reply: Reply | undefined): boolean {
  if (reply?.code !== 452) return false
  // 452 is also said of a full disk or mailbox.
  return reply.enhanced === '4.5.3' || (reply.enhanced === undefined && /too many/i.test(reply.text))
}

/** What went well before must not be forgotten over an exception; `untouched` ends the work. */
async function laterPart(earlier: PooledResult, send: () => Promise<PooledResult>): Promise<PooledResult> {
  try {
    return await send()
  } catch (error) {
    const reply = error instanceof SmtpError ? error.reply : ourReplies.tryLater
    return { ...earlier, replies: Array.from({ length: recipientsAtOnce }, () => reply), untouched: true }
  }
}

function pick<T>(all: readonly T[], indexes: readonly number[]): T[] {
  return indexes.map((index) => all[index]).filter((one) => one !== undefined)
}
