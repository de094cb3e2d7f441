import type { LocalAction } from '../../shared/config/model.ts'
import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { settled } from '../../shared/mail/disposition.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { CommandDelivery } from './deliver-command.ts'
import { LmtpDelivery } from './deliver-lmtp.ts'
import { MaildirDelivery } from './deliver-maildir.ts'
import { MboxDelivery } from './deliver-mbox.ts'

/** Local delivery: the last stage of a message that stays here. Carries out the local actions of smtpd.conf. */
export default defineStage({ name: 'delivery', queue: 'deliver', open: openDelivery })

export async function openDelivery(): Promise<OpenStage> {
  const lmtp = new LmtpDelivery()
  const maildir = new MaildirDelivery()
  const mbox = new MboxDelivery()
  const command = new CommandDelivery()

  async function attempt(
    action: LocalAction,
    message: StageMessage,
    context: StageContext,
  ): Promise<readonly DeliveryAttempt[]> {
    switch (action.method.kind) {
      case 'lmtp':
        return lmtp.deliver(message, action, action.method, context)
      case 'maildir':
        return maildir.deliver({ message, pending: message.pending, action, context }, action.method)
      case 'mbox':
        return mbox.deliver({ message, pending: message.pending, action, context })
      case 'mda':
        return command.deliver({ message, pending: message.pending, action, context }, action.method)
      case 'forward-only':
      case 'expand-only':
        return allOf(message, neverHere(action.method.kind))
    }
  }

  return {
    async handle(message, context): Promise<Disposition> {
      const action = message.action === undefined ? undefined : context.configuration.actions.get(message.action)
      if (action?.kind !== 'local') return settled(allOf(message, actionGone(message.action)))
      return settled(await attempt(action, message, context))
    },
    close: () => lmtp.close(),
  }
}

/** A reload may have taken the action away or changed it while the message waited: an operator can mend that. */
function actionGone(name: string | undefined): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The configuration has no local action "${name ?? ''}"` }
}

/** Aliases are expanded when mail comes in. Temporary: a configuration reloaded into this state is mended, not bounced. */
function neverHere(method: string): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The action is ${method}: it delivers nothing here` }
}

function allOf(message: StageMessage, reply: Reply): readonly DeliveryAttempt[] {
  return message.pending.map((recipient) => ({ recipient, reply, reached: 'local' }))
}
