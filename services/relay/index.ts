import type { RelayAction } from '../../shared/config/model.ts'
import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { settled } from '../../shared/mail/disposition.ts'
import { isPositive, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { ConnectionPool } from '../../shared/smtp-client/pool.ts'
import { planHops } from './plan-hops.ts'
import { composeTransaction } from './compose-transaction.ts'
import { OwnHosts } from './own-host.ts'
import { PemFiles } from './pem-files.ts'
import { partsBySender } from './sender.ts'
import { sendByHops } from './send-by-hops.ts'
import type { HopResult } from './send-by-hops.ts'
import { Turns } from './turns.ts'
import { UnreachableHosts } from './unreachable-hosts.ts'

/** Outgoing mail: to the MX of the recipient's domain or to smarthosts, by the relay actions of smtpd.conf. */
export default defineStage({ name: 'relay', queue: 'relay', open: openRelay })

export async function openRelay(service: ServiceContext): Promise<OpenStage> {
  const pool = new ConnectionPool()
  const planning = { turns: new Turns(), pemFiles: new PemFiles(), ownHosts: new OwnHosts(service.clock) }
  const unreachable = new UnreachableHosts(service.clock)

  async function relay(
    action: RelayAction,
    message: StageMessage,
    context: StageContext,
  ): Promise<readonly DeliveryAttempt[]> {
    const plan = await planHops({ message, action, context, ...planning })
    if (plan.kind === 'refused') return attemptsOf(message.pending, plan)
    const attempts: DeliveryAttempt[] = []
    const senders = { action, srs: context.configuration.srs, nowAt: context.clock.now() }
    for (const part of partsBySender(message, senders)) {
      const transaction = await composeTransaction(message, part)
      const result = await sendByHops(plan.hops, transaction, { pool, unreachable, signal: context.signal })
      attempts.push(...attemptsOf(part.pending, result))
    }
    return attempts
  }

  return {
    async handle(message, context): Promise<Disposition> {
      const action = message.action === undefined ? undefined : context.configuration.actions.get(message.action)
      if (action?.kind !== 'relay')
        return settled(attemptsOf(message.pending, { kind: 'refused', reply: actionGone(message.action) }))
      return settled(await relay(action, message, context))
    },
    close: () => pool.close(),
  }
}

function attemptsOf(pending: readonly number[], result: HopResult): readonly DeliveryAttempt[] {
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
      dsnPassedOn: result.dsnPassedOn && isPositive(reply),
    }
  })
}

/** A reload may have taken the action away while the message waited: an operator can mend that. */
function actionGone(name: string | undefined): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The configuration has no relay action "${name ?? ''}"` }
}
