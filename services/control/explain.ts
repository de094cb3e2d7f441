import type { Configuration, Listener } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import { createResolver } from '../../shared/resolver.ts'
import { explainRestrictions, renderRestrictions } from '../../shared/restrictions/explain.ts'
import type { RestrictionExplanation } from '../../shared/restrictions/explain.ts'
import { explain, renderExplanation } from '../../shared/routing/explain.ts'
import type { Explanation } from '../../shared/routing/explain.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { silentLog } from '../../shared/log.ts'
import type { Transaction } from '../../shared/routing/transaction.ts'
import { localAddresses } from '../../shared/system.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation, OptionValues } from './command.ts'
import { loadPlace } from './connect.ts'
import { mailboxOf, tagOf } from './operands.ts'

export const explainCommand: Command = {
  words: ['explain'],
  operands: [{ name: 'RECIPIENT', required: false }],
  options: [
    { name: 'from', value: 'ADDRESS', summary: 'reverse-path (<>)' },
    { name: 'rcpt', value: 'ADDRESS', summary: 'the same as RECIPIENT' },
    { name: 'client', value: 'ADDRESS', summary: 'address of the client (absent: from this machine)' },
    { name: 'src', value: 'ADDRESS', summary: 'the same as --client' },
    { name: 'helo', value: 'NAME', summary: 'name it says in HELO' },
    { name: 'user', value: 'NAME', summary: 'authenticated user' },
    { name: 'auth', value: 'NAME', summary: 'the same as --user' },
    {
      name: 'on',
      value: 'LISTENER',
      summary: 'whose restrictions are asked, eth0:25 (absent: by --tag, or the first)',
    },
    { name: 'tls', summary: 'the session uses TLS' },
    { name: 'tag', value: 'TAG', multiple: true, summary: 'tag of the listener or of a stage' },
  ],
  summary: 'why a recipient goes where it goes: each rule, and the first condition that failed',
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const recipient = recipientOf(operands[0], options.text('rcpt'))
  const transaction = transactionOf(options)
  const { configuration } = await loadPlace(invocation)
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    onWarning: (message) => terminal.warn(message),
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  const asked = { configuration, transaction, localAddresses: localAddresses() }
  const nowAt = Date.now()
  const resolver = createResolver({ servers: configuration.pipeline.resolvers })
  let explanation: Explanation
  let restrictions: RestrictionExplanation | undefined
  try {
    const listener = listenerOf(configuration, transaction, options.text('on'))
    if (listener !== undefined)
      restrictions = await explainRestrictions({ ...asked, listener, recipient, tables, resolver, nowAt })
    explanation = await settle(tables, (settled) => explain({ ...asked, tables: settled }, recipient, nowAt))
  } finally {
    resolver.close()
    await tables.close()
  }
  if (options.has('json')) terminal.print(JSON.stringify({ restrictions, ...explanation }, undefined, 2))
  else
    terminal.print(
      [...(restrictions ? [renderRestrictions(restrictions)] : []), renderExplanation(explanation)].join('\n'),
    )
  return exitCodes.done
}

/** The one that is named, else the one with a tag of the message, else the first that gives none. */
function listenerOf(
  { listeners }: Configuration,
  { tags }: Transaction,
  place: string | undefined,
): Listener | undefined {
  if (place === undefined) {
    const tagged = listeners.find((one) => tags.some((word) => one.tag?.toLowerCase() === word.toLowerCase()))
    return tagged ?? listeners.find((one) => one.tag === undefined) ?? listeners[0]
  }
  const named = listeners.find(({ on, port }) => place === on || place === `${on}:${port}`)
  if (named !== undefined) return named
  const known = listeners.map(({ on, port }) => `${on}:${port}`).join(', ')
  throw new UsageError(`smtpd.conf does not listen on ${place}; there are: ${known}`)
}

function recipientOf(operand: string | undefined, option: string | undefined): Mailbox {
  const stated = operand ?? option
  if (stated === undefined) throw new UsageError('explain needs a recipient: explain jane@example.org')
  if (operand !== undefined && option !== undefined)
    throw new UsageError('one recipient at a time: RECIPIENT or --rcpt')
  return mailboxOf(stated)
}

function transactionOf(options: OptionValues): Transaction {
  const address = options.text('client') ?? options.text('src')
  const helo = options.text('helo')
  const user = options.text('user') ?? options.text('auth')
  return {
    peer: address === undefined ? 'local' : { address },
    tls: options.has('tls'),
    tags: options.texts('tag').map((word) => tagOf(word)),
    reversePath: reversePath(options.text('from')),
    ...(helo === undefined ? {} : { helo }),
    ...(user === undefined ? {} : { user }),
  }
}

function reversePath(text: string | undefined): ReversePath {
  return text === undefined || text === '' || text === '<>' ? null : mailboxOf(text)
}
