import { stat } from 'node:fs/promises'

import { CommandError, expandCommand, parseCommand } from '../../shared/config/argv.ts'
import type { CommandValues } from '../../shared/config/argv.ts'
import type { Configuration, LocalAction } from '../../shared/config/model.ts'
import type { UserInfo } from '../../shared/config/tables.ts'
import { domainOf, localPart } from '../../shared/mail/address.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { accountOf, isRoot, systemAccount } from './account.ts'
import type { Owner } from './account.ts'
import { deliverEach, delivered, noHome } from './deliver-each.ts'
import type { Copy, Delivery } from './deliver-each.ts'
import { atRest } from './line-feeds.ts'
import { runCommand } from './run-command.ts'
import type { CommandResult } from './run-command.ts'
import { traceFields } from './trace-fields.ts'
import { CommandTurns } from './turns.ts'

type MdaMethod = LocalAction['method'] & { readonly kind: 'mda' }

/** What of its surroundings the delivery uses. */
export type CommandContext = Pick<StageContext, 'configuration' | 'tables' | 'log' | 'signal'>

/** Gives messages to programs, a run for each recipient, where `mda enable` of pipeline.conf allows it. */
export class CommandDelivery {
  readonly #turns = new CommandTurns()

  deliver(delivery: Delivery<CommandContext>, method: MdaMethod): Promise<readonly DeliveryAttempt[]> {
    const { action, context } = delivery
    return deliverEach(delivery, async (copy) => {
      const name = action.user ?? copy.user.name
      const known = await accountOf(name, action, context)
      const account = known ?? (action.user === undefined ? undefined : await systemAccount(action.user))
      return this.run(method.command, copy, delivery, { name, ...(account === undefined ? {} : { account }) })
    })
  }

  /** Runs one command for one recipient, as a user. */
  async run(command: string, copy: Copy, delivery: Delivery<CommandContext>, user: CommandUser): Promise<Reply> {
    const { message, action, context } = delivery
    const { configuration, signal } = context
    if (!configuration.pipeline.mda.enabled) throw new SmtpError(notEnabled)
    const owner = ownerOf(user)
    const variables = environmentOf(copy, delivery, user)
    const argv = argvOf(command, action, { copy, delivery, user, variables })
    const folder = await folderFor(user)
    const content = await outgoingContent(message.stored, message.edits, traceFields(message.envelope, copy.recipient))
    return this.#turns.take(user.name, limitsOf(configuration), async () => {
      const result = await runCommand({
        argv,
        environment: Object.fromEntries(variables),
        folder,
        input: atRest(content.read()),
        timeoutMs: timeoutOf(configuration),
        signal,
        ...(owner === undefined ? {} : { owner }),
      }).catch((error: unknown) => {
        throw cannotStart(error) ? new SmtpError(notStarted, { cause: error }) : error
      })
      return replyTo(result, configuration)
    })
  }
}

/** Who a command is run as and for. */
export interface CommandUser {
  readonly name: string
  readonly account?: UserInfo
}

const notEnabled: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'Commands are not run here: write `mda enable` in pipeline.conf',
}
const noAccount: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The configuration does not say as whom the command runs: the action needs a userbase, or a user of this system',
}
const notForRoot: Reply = { code: 451, enhanced: '4.3.5', text: 'No command is run as root' }
const notStarted: Reply = { code: 451, enhanced: '4.3.5', text: 'The command cannot be started' }

/** Who is not root runs everything as himself. @throws SmtpError */
function ownerOf({ account }: CommandUser): Owner | undefined {
  if (!isRoot()) return undefined
  if (account === undefined) throw new SmtpError(noAccount)
  if (account.uid === 0) throw new SmtpError(notForRoot)
  return { uid: account.uid, gid: account.gid }
}

/** The home folder, where there is one: many accounts of a system have none. */
async function folderFor({ account }: CommandUser): Promise<string> {
  if (account === undefined) return '/'
  const state = await stat(account.home).catch(() => undefined)
  return state?.isDirectory() === true ? account.home : '/'
}

/** Section 8.1; `EXTENSION` is there with a sub-address only. */
function environmentOf(
  { recipient, user: { subAddress } }: Copy,
  { message }: Delivery,
  { name, account }: CommandUser,
): ReadonlyMap<string, string> {
  const { mailbox, original = mailbox } = recipient
  return new Map([
    ['PATH', '/usr/local/bin:/usr/bin:/bin'],
    ['SHELL', '/bin/sh'],
    ['HOME', account?.home ?? '/'],
    ['USER', name],
    ['LOGNAME', name],
    ['LOCAL', localPart(mailbox)],
    ['DOMAIN', domainOf(mailbox)],
    ['RECIPIENT', mailbox],
    ['ORIGINAL_RECIPIENT', original],
    ['SENDER', message.envelope.reversePath ?? ''],
    ...(subAddress === undefined ? [] : ([['EXTENSION', subAddress]] as const)),
  ])
}

interface CommandParts {
  readonly copy: Copy
  readonly delivery: Delivery<CommandContext>
  readonly user: CommandUser
  readonly variables: ReadonlyMap<string, string>
}

/** @throws SmtpError or FormatError when it cannot be told */
function argvOf(command: string, { wrapper }: LocalAction, parts: CommandParts): readonly string[] {
  const { copy, delivery, user, variables } = parts
  const { recipient } = copy
  const values: CommandValues = {
    variables,
    delimiter: delivery.context.configuration.subAddressDelimiter,
    format: {
      sender: delivery.message.envelope.reversePath ?? '',
      rcpt: recipient.original ?? recipient.mailbox,
      dest: recipient.mailbox,
      username: user.name,
      directory: user.account?.home ?? '',
    },
  }
  const mda = words(command, user, values)
  return wrapper === undefined ? mda : words(wrapper.command, user, { ...values, mda })
}

function words(command: string, { account }: CommandUser, values: CommandValues): readonly string[] {
  if (account === undefined && /^~\/|%\{user\.directory/i.test(command)) throw new SmtpError(noHome)
  try {
    return expandCommand(parseCommand(command), values)
  } catch (error) {
    // A configuration reloaded into this state is mended, not bounced.
    if (error instanceof CommandError) throw new SmtpError(notStarted, { cause: error })
    throw error
  }
}

/** What OpenSMTPD allows when nothing is written. */
function limitsOf({ limits: { mda } }: Configuration) {
  return { all: mda.get('max-session') ?? 50, perUser: mda.get('max-session-per-user') ?? 7 }
}

/** Before the queue's own time is over, so that the answers other recipients have got already are not lost. */
function timeoutOf({ pipeline }: Configuration): number {
  const { timeoutMs } = pipeline.queues.get('deliver') ?? { timeoutMs: 300_000 }
  return Math.max(timeoutMs * 0.9, timeoutMs - 15_000)
}

/** Codes of sysexits.h that mean later: EX_OSERR and EX_TEMPFAIL. */
const temporaryCodes = new Set([71, 75])

function replyTo(result: CommandResult, configuration: Configuration): Reply {
  switch (result.kind) {
    case 'timeout': {
      const text = `The command did not end within ${Math.round(timeoutOf(configuration) / 1000)} s`
      return { code: 451, enhanced: '4.3.0', text }
    }
    case 'killed':
      return { code: 451, enhanced: '4.3.0', text: `The command was ended by ${result.by}` }
    case 'exited': {
      const { code, lastLine } = result
      if (code === 0) return delivered
      const text = lastLine === '' ? `The command ended with exit code ${code}` : lastLine
      return temporaryCodes.has(code) ? { code: 451, enhanced: '4.3.0', text } : { code: 554, enhanced: '5.3.0', text }
    }
  }
}

/** Of the program or its folder; the disk that holds our message has other calls. */
function cannotStart(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException
  return syscall?.startsWith('spawn') ?? false
}
