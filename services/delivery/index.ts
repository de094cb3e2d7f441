import type { Action, Configuration, LocalAction } from '../../shared/config/model.ts'
import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { settled } from '../../shared/mail/disposition.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { LmtpDelivery } from './deliver-lmtp.ts'
import { MaildirDelivery } from './deliver-maildir.ts'
import { MboxDelivery } from './deliver-mbox.ts'

/** Local delivery: the last stage of a message that stays here. Carries out the local actions of smtpd.conf. */
export default defineStage({ name: 'delivery', queue: 'deliver', open: openDelivery })

/** @throws StartError naming the action and its line when one asks for a method this version does not have */
export async function openDelivery(context: ServiceContext): Promise<OpenStage> {
  refuseUnsupported(context.configuration)
  const lmtp = new LmtpDelivery()
  const maildir = new MaildirDelivery()
  const mbox = new MboxDelivery()

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
      case 'forward-only':
      case 'expand-only':
        return allOf(message, notSupported(action.method.kind))
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

function refuseUnsupported(configuration: Configuration): void {
  const faults = [...configuration.actions.values()].flatMap((action) => {
    const method = unsupportedMethod(action)
    if (method === undefined) return []
    const { file, line } = action.at
    return [
      `${file}:${line}: action "${action.name}" uses ${method}, which this version does not deliver by; use lmtp, maildir or mbox`,
    ]
  })
  if (faults.length > 0) throw new StartError(faults.join('\n'), { exitCode: 78 })
}

function unsupportedMethod(action: Action): string | undefined {
  if (action.kind !== 'local') return undefined
  return ['lmtp', 'maildir', 'mbox'].includes(action.method.kind) ? undefined : action.method.kind
}

/** A reload may have taken the action away or changed it while the message waited: an operator can mend that. */
function actionGone(name: string | undefined): Reply {
  return { code: 451, enhanced: '4.3.5', text: `The configuration has no local action "${name ?? ''}"` }
}

/** Temporary: a configuration reloaded into this state is mended, not bounced. */
function notSupported(method: string): Reply {
  return { code: 451, enhanced: '4.3.5', text: `Delivery by ${method} is not supported` }
}

function allOf(message: StageMessage, reply: Reply): readonly DeliveryAttempt[] {
  return message.pending.map((recipient) => ({ recipient, reply, reached: 'local' }))
}
