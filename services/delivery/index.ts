import type { LocalAction } from '../../shared/config/model.ts'
import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { settled } from '../../shared/mail/disposition.ts'
import { replies } from '../../shared/mail/reply.ts'
import { dueAt } from '../../shared/mail/envelope.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { CommandDelivery } from './deliver-command.ts'
import type { Delivery } from './deliver-each.ts'
import { byFullMailboxRule } from './full-mailbox.ts'
import { LmtpDelivery } from './deliver-lmtp.ts'
import { MaildirDelivery } from './deliver-maildir.ts'
import { MboxDelivery } from './deliver-mbox.ts'
import { TargetDelivery } from './deliver-target.ts'

/** Local delivery: the last stage of a message that stays here. Carries out the local actions of smtpd.conf. */
export default defineStage({ name: 'delivery', queue: 'deliver', open: openDelivery, mayRepeat })

export async function openDelivery(): Promise<OpenStage> {
  const lmtp = new LmtpDelivery()
  const maildir = new MaildirDelivery()
  const mbox = new MboxDelivery()
  const command = new CommandDelivery()
  const target = new TargetDelivery(command, mbox)

  async function byAction(delivery: Delivery<StageContext>): Promise<readonly DeliveryAttempt[]> {
    const { message, pending, action, context } = delivery
    switch (action.method.kind) {
      case 'lmtp':
        return lmtp.deliver({ ...message, pending }, action, action.method, context)
      case 'maildir':
        return maildir.deliver(delivery, action.method)
      case 'mbox':
        return mbox.deliver(delivery)
      case 'mda':
        return command.deliver(delivery, action.method)
      case 'forward-only':
      case 'expand-only':
        return allOf(pending, neverHere(action.method.kind))
    }
  }

  /** What has been done for copies with a target of their own is not undone by trouble of the others. */
  async function othersBy(delivery: Delivery<StageContext>): Promise<readonly DeliveryAttempt[]> {
    try {
      return await byAction(delivery)
    } catch (error) {
      const { id } = delivery.message.envelope
      delivery.context.log.warn({ id, err: error }, 'local delivery failed')
      return allOf(delivery.pending, replies.tryLater)
    }
  }

  /** Copies with a target of their own go there, whatever the action is. */
  async function attempt(
    action: LocalAction,
    message: StageMessage,
    context: StageContext,
  ): Promise<readonly DeliveryAttempt[]> {
    const { pending, envelope } = message
    const own = pending.filter((index) => envelope.recipients[index]?.target !== undefined)
    if (own.length === 0) return byAction({ message, pending, action, context })
    const others = pending.filter((index) => envelope.recipients[index]?.target === undefined)
    const attempts = await Promise.all([
      target.deliver({ message, pending: own, action, context }),
      others.length === 0 ? [] : othersBy({ message, pending: others, action, context }),
    ])
    return attempts.flat()
  }

  return {
    async handle(message, context): Promise<Disposition> {
      const action = message.action === undefined ? undefined : context.configuration.actions.get(message.action)
      if (action?.kind !== 'local') return settled(allOf(message.pending, actionGone(message.action)))
      const { fullMailbox } = context.configuration.pipeline
      const ageMs = context.clock.now() - dueAt(message.envelope)
      return settled(byFullMailboxRule(await attempt(action, message, context), fullMailbox, ageMs))
    },
    close: () => lmtp.close(),
  }
}

/** A Maildir shows by the name of the file that the copy is there; a server, a command and an mbox file do not. */
export function mayRepeat(
  { envelope, pending, action }: StageMessage,
  { configuration }: Pick<StageContext, 'configuration'>,
): boolean {
  const method = action === undefined ? undefined : configuration.actions.get(action)
  if (method?.kind !== 'local' || method.method.kind !== 'maildir') return true
  return pending.some((index) => envelope.recipients[index]?.target !== undefined)
}

/** A reload may have taken the action away or changed it while the message waited: an operator can mend that. */
function actionGone(name: string | undefined): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The configuration has no local action "${name ?? ''}"` }
}

/** Aliases are expanded when mail comes in. Temporary: a configuration reloaded into this state is mended, not bounced. */
function neverHere(method: string): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The action is ${method}: it delivers nothing here` }
}

function allOf(pending: readonly number[], reply: Reply): readonly DeliveryAttempt[] {
  return pending.map((recipient) => ({ recipient, reply, reached: 'local' }))
}
