import type { LocalAction } from '../../shared/config/model.ts'
import type { UserInfo } from '../../shared/config/tables.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { LocalTarget } from '../../shared/mail/envelope.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { accountOf, isRoot, ownerFor, systemAccount } from './account.ts'
import type { CommandContext, CommandDelivery } from './deliver-command.ts'
import { deliverEach, delivered } from './deliver-each.ts'
import type { Copy, Delivery } from './deliver-each.ts'
import type { MboxDelivery } from './deliver-mbox.ts'

/** Does what an alias or a .forward file says with a copy: `|command`, `/file`. */
export class TargetDelivery {
  readonly #command: CommandDelivery
  readonly #mbox: MboxDelivery

  constructor(command: CommandDelivery, mbox: MboxDelivery) {
    this.#command = command
    this.#mbox = mbox
  }

  deliver(delivery: Delivery<CommandContext>): Promise<readonly DeliveryAttempt[]> {
    const { action, context } = delivery
    return deliverEach(delivery, async (copy) => {
      const { target } = copy.recipient
      if (target === undefined) throw new TypeError(`recipient ${copy.index} has no target`)
      if (!context.configuration.pipeline.mda.enabled) throw new SmtpError(notEnabled)
      const name = target.user ?? action.user ?? copy.user.name
      const account = await accountFor(target, action, context)
      if (target.user !== undefined) mustBeAble(target, account)
      switch (target.kind) {
        case 'command': {
          // A wrapper stands around the action's own command.
          const { wrapper: _, ...unwrapped } = action
          const user = { name, ...(account === undefined ? {} : { account }) }
          return this.#command.run(target.text, copy, { ...delivery, action: unwrapped }, user)
        }
        case 'file':
          return this.#appendTo(target.text, copy, delivery, account)
      }
    })
  }

  async #appendTo(
    path: string,
    { recipient }: Copy,
    delivery: Delivery<CommandContext>,
    account: UserInfo | undefined,
  ): Promise<Reply> {
    if (path === '/dev/null') return delivered
    return this.#mbox.append(
      path,
      recipient,
      delivery,
      delivery.action.user === undefined ? undefined : ownerFor(account),
    )
  }
}

/** As whom an alias that names no user runs its command, when we are root. */
const unprivileged = 'nobody'

async function accountFor(
  target: LocalTarget,
  action: LocalAction,
  context: CommandContext,
): Promise<UserInfo | undefined> {
  const name = target.user ?? action.user
  if (name !== undefined) return (await accountOf(name, action, context)) ?? systemAccount(name)
  return isRoot() ? systemAccount(unprivileged) : undefined
}

/**
 * What a user's .forward says is done with the rights of that user or not at all: our own would let him take what is ours.
 * Node opens files with the rights of the process, so only a command can be left to him.
 */
function mustBeAble({ kind }: LocalTarget, account: UserInfo | undefined): void {
  const himself = account !== undefined && account.uid === process.getuid?.()
  if (himself && !isRoot()) return
  if (isRoot() && kind === 'command') return
  throw new SmtpError(isRoot() ? noFiles : notHim)
}

const notEnabled: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The alias leads to a command or a file: not enabled here (pipeline.conf: mda enable)',
}
const noFiles: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'A .forward file names a file, which root does not write to for its user: let it name a command',
}
const notHim: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'A .forward file names a command or a file, and this server cannot act as its user',
}
