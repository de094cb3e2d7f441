import { join } from 'node:path'

import { openFactLog } from '../../shared/aggregate-reports/fact-log.ts'
import type { TlsFact } from '../../shared/aggregate-reports/facts.ts'
import type { Configuration, RelayAction } from '../../shared/config/model.ts'
import { openDestinationBook } from '../../shared/destinations/book.ts'
import { createValidatingResolver } from '../../shared/dns/validating-resolver.ts'
import type { ValidatingResolver } from '../../shared/dns/validating-resolver.ts'
import type { DeliveryAttempt, Disposition, Lane } from '../../shared/mail/disposition.ts'
import { postpone, settled } from '../../shared/mail/disposition.ts'
import { isPositive, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { StsPolicies } from '../../shared/mta-sts/policies.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { backOffLane } from '../../shared/queue/queues.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { ConnectionPool } from '../../shared/smtp-client/pool.ts'
import { inSpan } from '../../shared/tracing/span.ts'
import { withBackOff } from './back-off-lane.ts'
import type { OnClosed } from './back-off-lane.ts'
import { composeTransaction } from './compose-transaction.ts'
import { ConnectionBudget } from './connection-budget.ts'
import { DestinationLines } from './destination-lines.ts'
import type { Turn } from './destination-lines.ts'
import type { PolicyFailure } from './domain-policy.ts'
import { concurrencyOf, inLane, perDomain } from './domain-lane.ts'
import { SharedPenalties } from './host-penalties.ts'
import { withinRates } from './lane-rates.ts'
import { MxGroups, relayLane } from './mx-groups.ts'
import type { Exchanges, RelayLane } from './mx-groups.ts'
import { OwnHosts } from './own-host.ts'
import { PemFiles } from './pem-files.ts'
import { planHops } from './plan-hops.ts'
import { KnownLimits, limitedDomain } from './relay-limits.ts'
import type { RelayLimits } from './relay-limits.ts'
import { SecureContexts } from './secure-contexts.ts'
import { partsBySender } from './sender.ts'
import { sendByHops } from './send-by-hops.ts'
import type { HopResult } from './send-by-hops.ts'
import { Turns } from './turns.ts'

/** Outgoing mail: to the MX of the recipient's domain or to smarthosts, by the relay actions of smtpd.conf. */
export default defineStage({ name: 'relay', queue: 'relay', open: openRelay, mayRepeat: () => true })

export async function openRelay(service: ServiceContext): Promise<OpenStage> {
  const pool = new ConnectionPool()
  const planning = {
    turns: new Turns(),
    pemFiles: new PemFiles(),
    contexts: new SecureContexts(),
    ownHosts: new OwnHosts(service.clock),
  }
  const sending = {
    pool,
    penalties: new SharedPenalties(service.clock, service.queues.penalties),
    budget: new ConnectionBudget(service.clock),
    clock: service.clock,
  }
  const policies = new StsPolicies({
    folder: join(service.dataFolder, 'mta-sts'),
    clock: service.clock,
    log: service.log,
  })
  const swept = policies.sweep().catch((error: unknown) => {
    service.log.warn({ error: String(error) }, 'old MTA-STS policies could not be removed')
  })
  const validating = createValidatingResolver()
  const lines = new DestinationLines(service.clock)
  const groups = new MxGroups(service.clock)
  const { dataFolder, clock, log } = service
  const facts = openFactLog<TlsFact>({ dataFolder, kind: 'tls', writer: 'relay', clock, log })
  const book = openDestinationBook({ dataFolder, clock, log })
  const noteSession = (fact: TlsFact): void => facts.add(fact)
  const knownLimits = new KnownLimits()

  function validatingOf({ pipeline }: Configuration): { readonly validating?: ValidatingResolver } {
    if (pipeline.dane === 'off') return {}
    validating.useServers(pipeline.validatingResolvers)
    return { validating }
  }

  async function relay(
    action: RelayAction,
    message: StageMessage,
    context: StageContext,
    limits: RelayLimits,
    onClosed: OnClosed,
  ): Promise<Disposition> {
    const onPolicyFailure = (failure: PolicyFailure): void => {
      context.events.tlsPolicyFailed({ id: message.envelope.id, ...failure })
      book.notePolicy(limitedDomain(message), failure.policy, failure.reason)
    }
    const lookUp = { attributes: { 'dns.question.name': message.destination } }
    const plan = await inSpan(context.span, goesByMx(action, message) ? 'MX look-up' : 'host look-up', lookUp, () =>
      planHops({
        message,
        action,
        context,
        limits,
        policies,
        ...validatingOf(context.configuration),
        onPolicyFailure,
        onDemand: (policy) => book.notePolicy(limitedDomain(message), policy),
        noteSession,
        ...planning,
      }),
    )
    if (plan.kind === 'refused') return settled(attemptsOf(message.pending, plan))
    const attempts: DeliveryAttempt[] = []
    const senders = { action, srs: context.configuration.srs, nowAt: context.clock.now() }
    const { relayEightBit } = context.configuration.pipeline
    for (const part of partsBySender(message, senders)) {
      const transaction = await composeTransaction(message, part, relayEightBit)
      const { signal, span } = context
      const talk = context.configuration.pipeline.events.smtpTalk === true
      const tools = { ...sending, signal, span, onPolicyFailure, noteSession, talk }
      const result = await sendByHops(plan.hops, transaction, tools)
      if (result.kind !== 'busy') attempts.push(...attemptsOf(part.pending, result))
      else if (attempts.length === 0) {
        if (result.down) onClosed(result.retryInMs)
        return postpone(result.retryInMs, result.why)
      } else attempts.push(...attemptsOf(part.pending, { kind: 'refused', reply: busy(result.why) }))
    }
    return settled(attempts)
  }

  /** Looking up takes a turn of its own: a name server may be slow. */
  async function exchangesOf(domain: string, context: StageContext): Promise<Exchanges | Wait> {
    const turn = lines.enter(`MX of ${domain}`, shareOf(context))
    if (turn.kind === 'wait') return turn
    try {
      const options = { attributes: { 'dns.question.name': domain } }
      return await inSpan(context.span, 'MX look-up for the lane', options, () =>
        groups.lookUp(domain, validatingOf(context.configuration).validating ?? context.resolver),
      )
    } finally {
      turn.leave()
    }
  }

  async function relayByLane(action: RelayAction, message: StageMessage, context: StageContext): Promise<Disposition> {
    const destination = limitedDomain(message)
    const grouped = goesByMx(action, message) && !context.configuration.pipeline.lanes.domains.has(destination)
    const exchanges = grouped ? (groups.known(destination) ?? (await exchangesOf(destination, context))) : []
    if ('kind' in exchanges) return postpone(exchanges.waitMs, enoughAtWork(destination))
    const lane = relayLane(context.configuration, destination, exchanges)
    const disposition = await relayInTurn(action, message, context, lane)
    if (message.lane !== undefined && hasMoved(message, lane, disposition))
      await context.queues.lanes.bringNext(backOffLane(message.lane)).catch(() => {})
    return byLane(disposition, lane)
  }

  async function relayInTurn(
    action: RelayAction,
    message: StageMessage,
    context: StageContext,
    { name, settings }: RelayLane,
  ): Promise<Disposition> {
    const turn = lines.enter(name, shareOf(context))
    if (turn.kind === 'wait') return postpone(turn.waitMs, enoughAtWork(name), lineOf(name))
    let used = false
    try {
      const domain = limitedDomain(message)
      const limits = knownLimits.of(context.configuration, domain)
      const atOnce = concurrencyOf(settings, name) ?? perDomain(limits, domain)
      const disposition = await withBackOff(message, context, name, settings, (onClosed) => {
        const work = (): Promise<Disposition> =>
          withinRates(message, context, name, settings, () => relay(action, message, context, limits, onClosed))
        return atOnce === undefined ? work() : inLane(context, atOnce, work)
      })
      used = disposition.kind !== 'postpone'
      return disposition
    } finally {
      turn.leave()
      // What was put off itself would call all that wait, one after the other, only to be put off as well.
      // Who had to wait himself may not have been the only one, though this process sent nobody away.
      if (used && (turn.isAwaited() || message.lane !== undefined)) await bringNext(context, name, turn)
    }
  }

  return {
    async handle(message, context): Promise<Disposition> {
      const action = message.action === undefined ? undefined : context.configuration.actions.get(message.action)
      if (action?.kind !== 'relay')
        return settled(attemptsOf(message.pending, { kind: 'refused', reply: actionGone(message.action) }))
      const disposition = await relayByLane(action, message, context)
      if (disposition.kind === 'settled') book.note(limitedDomain(message), disposition.attempts)
      return disposition
    },
    async close(): Promise<void> {
      validating.close()
      await policies.close()
      await swept
      await pool.close()
      await facts.close()
      await book.close()
    },
  }
}

type Wait = Extract<Turn, { readonly kind: 'wait' }>

/** Where messages wait for a turn in a process; none is free for who is sent away now. */
function lineOf(name: string): Lane {
  return { destination: `line ${name}`, limit: 0 }
}

/** Of those that wait, the one whose turn it is by age and sender; otherwise each would come by its own time, and find the turn taken. */
async function bringNext({ queues }: StageContext, name: string, turn: Turn & { kind: 'turn' }): Promise<void> {
  const brought = await queues.lanes.bringNext(lineOf(name).destination).catch(() => true)
  if (!brought) turn.noneWaits()
}

function goesByMx({ host, domain }: RelayAction, { order }: StageMessage): boolean {
  return host === undefined && domain === undefined && order?.kind !== 'host'
}

function enoughAtWork(name: string): string {
  return `enough messages for ${name} are at work`
}

/** It waited in another lane, as the MX of its domain were then, and in this one it got through: others wait there like it. */
function hasMoved(message: StageMessage, lane: RelayLane, disposition: Disposition): boolean {
  if (message.lane === lane.name || disposition.kind !== 'settled') return false
  return disposition.attempts.some(({ reply }) => isPositive(reply))
}

function byLane(disposition: Disposition, { name }: RelayLane): Disposition {
  return disposition.kind === 'settled' || disposition.kind === 'postpone'
    ? { ...disposition, laneName: name }
    : disposition
}

/** Of one slow destination: half of the workers. */
function shareOf({ configuration }: StageContext): number {
  return Math.max(1, Math.floor((configuration.pipeline.queues.get('relay')?.concurrency ?? 20) / 2))
}

/** A part of the message went out already: the rest is an attempt like another. */
function busy(why: string): Reply {
  return { code: 451, enhanced: '4.4.5', text: why }
}

function attemptsOf(
  pending: readonly number[],
  result: Exclude<HopResult, { readonly kind: 'busy' }>,
): readonly DeliveryAttempt[] {
  return pending.map((recipient, position): DeliveryAttempt => {
    if (result.kind === 'refused') {
      const { reply, remoteMta } = result
      return { recipient, reply, reached: 'remote', ...(remoteMta === undefined ? {} : { remoteMta }) }
    }
    const reply = result.replies[position] ?? replies.tryLater
    return {
      recipient,
      reply,
      reached: 'remote',
      remoteMta: result.peer,
      ...tlsOf(result),
      dsnPassedOn: result.dsnPassedOn && isPositive(reply),
      ...(position === 0 && result.talk !== undefined ? { talk: result.talk } : {}),
    }
  })
}

function tlsOf({
  tls,
  tlsUnused,
  trust,
}: Extract<HopResult, { readonly kind: 'answered' }>): Pick<DeliveryAttempt, 'tls' | 'tlsUnused'> {
  if (tls !== undefined) return { tls: { session: `${tls.version} ${tls.cipher}`, trust } }
  return tlsUnused === undefined ? {} : { tlsUnused }
}

/** A reload may have taken the action away while the message waited: an operator can mend that. */
function actionGone(name: string | undefined): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The configuration has no relay action "${name ?? ''}"` }
}
