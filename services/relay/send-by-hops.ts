import type { TlsFact } from '../../shared/aggregate-reports/facts.ts'
import type { Clock } from '../../shared/clock.ts'
import type { HopTls } from '../../shared/mail/disposition.ts'
import { isPermanent, isPositive, isTemporary } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { OpenError } from '../../shared/smtp-client/client-error.ts'
import { openConnection, peerName } from '../../shared/smtp-client/open-connection.ts'
import type { OpenOptions } from '../../shared/smtp-client/open-connection.ts'
import { NoConnectionNow } from '../../shared/smtp-client/pool.ts'
import type { ConnectionPool, PooledResult } from '../../shared/smtp-client/pool.ts'
import { sendInParts } from '../../shared/smtp-client/send-in-parts.ts'
import type { Transaction } from '../../shared/smtp-client/transaction.ts'
import { endpointAttributes, tellReply, tlsAttributes } from '../../shared/smtp-client/client-spans.ts'
import { inSpan } from '../../shared/tracing/span.ts'
import type { Span } from '../../shared/tracing/span.ts'
import type { ConnectionBudget } from './connection-budget.ts'
import { demandKey, demandName, unmet } from './domain-policy.ts'
import type { Demand, PolicyFailure } from './domain-policy.ts'
import type { Hop } from './hop.ts'
import type { SharedPenalties } from './host-penalties.ts'
import { sessionFact } from './tls-facts.ts'

/** What the host that took part in the transaction said, or why none did. */
export type HopResult =
  | ({ readonly kind: 'answered'; readonly trust: HopTls['trust'] } & PooledResult)
  | { readonly kind: 'refused'; readonly reply: Reply; readonly remoteMta?: string }
  /** No attempt was made that says anything. `down`: for every host failed a moment ago, not for a limit of ours. */
  | { readonly kind: 'busy'; readonly retryInMs: number; readonly why: string; readonly down: boolean }

export interface HopTools {
  readonly pool: ConnectionPool
  readonly penalties: SharedPenalties
  readonly budget: ConnectionBudget
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Attempts are told below it; absent: the message is not traced. */
  readonly span?: Span | undefined
  readonly onPolicyFailure: (failure: PolicyFailure) => void
  readonly noteSession: (fact: TlsFact) => void
  /** What is said is taken down. */
  readonly talk: boolean
}

/** More would keep a message with dozens of dead addresses for hours. */
const maxTried = 10

/**
 * Offers the message to one host after the other until one takes part in the transaction (RFC 5321 §5.1). What it then says is
 * final for this attempt: another MX is not asked for a second opinion. Hosts that failed a moment ago are passed over, and so are those
 * that lack REQUIRETLS where it is demanded (RFC 8689 §4.2.1).
 */
export async function sendByHops(hops: readonly Hop[], transaction: Transaction, tools: HopTools): Promise<HopResult> {
  const troubles: Trouble[] = []
  const waits: Wait[] = []
  for (const hop of hops) {
    if (troubles.length >= maxTried || tools.signal.aborted) break
    const waitMs = await tools.penalties.waitMs(hop.key)
    if (waitMs > 0) {
      waits.push({
        kind: 'busy',
        retryInMs: waitMs,
        why: `${peerName(hop.endpoint)} failed a moment ago`,
        healthy: false,
      })
      continue
    }
    const result = await offer(hop, transaction, tools)
    if (result.kind === 'answered') return result
    if (result.kind === 'busy') waits.push(result)
    else troubles.push(result)
  }
  return outcome(troubles, waits)
}

interface Trouble {
  readonly kind: 'refused'
  /** What it means for the message as a whole. */
  readonly reply: Reply
  /** Absent when no host answered. */
  readonly remoteMta?: string
  /** The host got as far as the recipients before it ended the session, and may have refused some of them. */
  readonly answered?: Answered
}

type Answered = Extract<HopResult, { readonly kind: 'answered' }>

interface Wait {
  readonly kind: 'busy'
  readonly retryInMs: number
  readonly why: string
  /** A limit of ours, not a failure. */
  readonly healthy: boolean
}

function offer(hop: Hop, transaction: Transaction, tools: HopTools): Promise<Answered | Trouble | Wait> {
  const attributes = { ...endpointAttributes(hop.endpoint), 'network.protocol.name': hop.protocol }
  return inSpan(tools.span, 'relay attempt', { kind: 'client', attributes }, async (span) => {
    const result = await offerTo(hop, { ...transaction, span }, { ...tools, span })
    tellAttempt(span, result)
    return result
  })
}

/** The first refusal, else what the host said in the end. */
function tellAttempt(span: Span | undefined, result: Answered | Trouble | Wait): void {
  if (span === undefined) return
  if (result.kind === 'busy') return span.event('not tried', { 'sluice.reason': result.why })
  const answered = result.kind === 'answered' ? result : result.answered
  if (answered !== undefined) span.set(tlsAttributes(answered.tls))
  const said = result.kind === 'answered' ? result.replies : [result.reply]
  tellReply(span, said.find((reply) => !isPositive(reply)) ?? said[0])
}

async function offerTo(hop: Hop, transaction: Transaction, tools: HopTools): Promise<Answered | Trouble | Wait> {
  const startedAt = tools.clock.now()
  try {
    const connect = (signal: AbortSignal) =>
      tools.budget.connect(hop.key, hop.places, hop.limits, () =>
        openConnection({ ...hop, signal, span: tools.span, talk: tools.talk, ...tlsNote(hop, tools) }),
      )
    const result = await sendInParts(transaction, (part) =>
      tools.pool.send(hop.key, connect, part, tools.signal, hop.limits.session),
    )
    await tools.penalties.worked(hop.key)
    tellUnmet(hop, result, tools)
    const answered = { kind: 'answered' as const, ...result, trust: trustOf(hop) }
    if (!result.untouched && result.unfit === undefined) return answered
    const reply = result.replies.find(isTemporary) ?? result.replies[0] ?? noAnswer
    return { kind: 'refused' as const, reply, remoteMta: result.peer, answered }
  } catch (error) {
    if (error instanceof NoConnectionNow) {
      await tools.penalties.untried(hop.key)
      return { kind: 'busy' as const, retryInMs: error.retryInMs, why: error.message, healthy: true }
    }
    if (!(error instanceof OpenError)) throw error
    if (!tools.signal.aborted) await tools.penalties.failed(hop.key, startedAt)
    const remoteMta = error.phase === 'connect' ? {} : { remoteMta: peerName(hop.endpoint) }
    const reply = error.phase === 'tls' ? demanded(hop, error.reply, tools) : error.reply
    return { kind: 'refused' as const, reply, ...remoteMta }
  }
}

function tlsNote(hop: Hop, { noteSession }: HopTools): Pick<OpenOptions, 'onTls'> {
  const { reported } = hop
  return reported === undefined ? {} : { onTls: (outcome) => noteSession(sessionFact(hop, reported, outcome)) }
}

/** `testing`: the mail is gone, and what would have kept it back is told. */
function tellUnmet({ demand, endpoint }: Hop, { tls }: PooledResult, { onPolicyFailure }: HopTools): void {
  const reason = demand === undefined ? undefined : unmet(demand, tls)
  if (demand === undefined || reason === undefined) return
  onPolicyFailure({ ...failureOf(demand), remoteMta: peerName(endpoint), reason })
}

/** Whose demand it is that TLS must work. */
function demanded({ demand, endpoint }: Hop, reply: Reply, { onPolicyFailure }: HopTools): Reply {
  if (demand?.mode !== 'enforce') return reply
  onPolicyFailure({ ...failureOf(demand), remoteMta: peerName(endpoint), reason: reply.text })
  return { ...reply, text: `${reply.text} (demanded by ${demandName(demand)})` }
}

function failureOf({ policy, domain, mode }: Demand): Pick<PolicyFailure, 'policy' | 'domain' | 'mode'> {
  return { policy, domain, mode }
}

function trustOf({ tls, demand }: Hop): HopTls['trust'] {
  const held = demandKey(demand)
  if (held === 'mta-sts' || held === 'dane') return held
  return tls.verify && tls.mode !== 'opportunistic' ? 'verified' : 'unverified'
}

/**
 * As long as one host may be better later, the message waits; only when all say never (RFC 7504) it is over. When nobody was asked, or
 * a host that works has only no connection left for us, it was no attempt.
 */
function outcome(troubles: readonly Trouble[], waits: readonly Wait[]): HopResult {
  const said: Trouble = troubles.findLast(({ reply }) => isTemporary(reply)) ??
    troubles.at(-1) ?? { kind: 'refused', reply: noAnswer }
  const [first, ...others] = waits.toSorted((one, other) => one.retryInMs - other.retryInMs)
  const result = said.answered ?? said
  if (first === undefined) return result
  const noAttempt = troubles.length === 0 || isPermanent(said.reply) || [first, ...others].some((one) => one.healthy)
  const down = troubles.length === 0 && waits.every((one) => !one.healthy)
  return noAttempt ? { ...first, down } : result
}

const noAnswer: Reply = { code: 451, enhanced: '4.4.1', text: 'No mail server answered' }
