import { settle } from '../../shared/config/settle.ts'
import { openTables } from '../../shared/config/tables.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import { tag } from '../../shared/mail/tag.ts'
import { explain, renderExplanation } from '../../shared/routing/explain.ts'
import type { Explanation } from '../../shared/routing/explain.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { silentLog } from '../../shared/log.ts'
import type { Transaction } from '../../shared/routing/transaction.ts'
import { localAddresses } from '../../shared/system.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation, OptionValues } from './command.ts'
import { loadPlace } from './connect.ts'

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
  let explanation: Explanation
  try {
    explanation = await settle(tables, (settled) => explain({ ...asked, tables: settled }, recipient, nowAt))
  } finally {
    await tables.close()
  }
  terminal.print(options.has('json') ? JSON.stringify(explanation, undefined, 2) : renderExplanation(explanation))
  return exitCodes.done
}

function recipientOf(operand: string | undefined, option: string | undefined): Mailbox {
  const stated = operand ?? option
  if (stated === undefined) throw new UsageError('explain needs a recipient: explain jane@example.org')
  if (operand !== undefined && option !== undefined)
    throw new UsageError('one recipient at a time: RECIPIENT or --rcpt')
  return mailbox(stated)
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
  return text === undefined || text === '' || text === '<>' ? null : mailbox(text)
}

function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text)
  if (parsed === undefined) throw new UsageError(`'${text}' is not an address like jane@example.org`)
  return parsed
}

function tagOf(word: string) {
  try {
    return tag(word)
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}
