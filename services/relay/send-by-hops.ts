import { isTemporary } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { OpenError } from '../../shared/smtp-client/client-error.ts'
import { openConnection, peerName } from '../../shared/smtp-client/open-connection.ts'
import type { ConnectionPool, PooledResult } from '../../shared/smtp-client/pool.ts'
import { sendInParts } from '../../shared/smtp-client/send-in-parts.ts'
import type { Transaction } from '../../shared/smtp-client/transaction.ts'
import type { Hop } from './hop.ts'
import type { UnreachableHosts } from './unreachable-hosts.ts'

/** What the host that took part in the transaction said, or why none did. */
export type HopResult =
  | ({ readonly kind: 'answered' } & PooledResult)
  | { readonly kind: 'refused'; readonly reply: Reply; readonly remoteMta?: string }

export interface HopTools {
  readonly pool: ConnectionPool
  readonly unreachable: UnreachableHosts
  readonly signal: AbortSignal
}

/** More would keep a message with dozens of dead addresses for hours. */
const maxTried = 10

/**
 * Offers the message to one host after the other until one takes part in the transaction (RFC 5321 §5.1). What it then says is
 * final for this attempt: another MX is not asked for a second opinion.
 */
export async function sendByHops(hops: readonly Hop[], transaction: Transaction, tools: HopTools): Promise<HopResult> {
  const troubles: Trouble[] = []
  for (const hop of tools.unreachable.last(hops).slice(0, maxTried)) {
    const result = await offer(hop, transaction, tools)
    if (result.kind === 'answered') return result
    troubles.push(result)
    if (tools.signal.aborted) break
  }
  return { kind: 'refused', ...verdict(troubles) }
}

interface Trouble {
  readonly reply: Reply
  /** Absent when no host answered. */
  readonly remoteMta?: string
}

async function offer(hop: Hop, transaction: Transaction, tools: HopTools) {
  try {
    const connect = (signal: AbortSignal) => openConnection({ ...hop, signal })
    const result = await sendInParts(transaction, (part) => tools.pool.send(hop.key, connect, part, tools.signal))
    tools.unreachable.forget(hop.key)
    if (!result.untouched) return { kind: 'answered' as const, ...result }
    return { kind: 'refused' as const, reply: result.replies[0] ?? noAnswer, remoteMta: result.peer }
  } catch (error) {
    if (!(error instanceof OpenError)) throw error
    const answered = error.phase !== 'connect'
    if (!answered) tools.unreachable.remember(hop.key)
    const remoteMta = answered ? { remoteMta: peerName(hop.endpoint) } : {}
    return { kind: 'refused' as const, reply: error.reply, ...remoteMta }
  }
}

/** As long as one host may be better later, the message waits; only when all say never (RFC 7504) it is over. */
function verdict(troubles: readonly Trouble[]): Trouble {
  return troubles.findLast(({ reply }) => isTemporary(reply)) ?? troubles.at(-1) ?? { reply: noAnswer }
}

const noAnswer: Reply = { code: 451, enhanced: '4.4.1', text: 'No mail server answered' }
