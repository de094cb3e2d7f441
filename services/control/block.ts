import { blockSender, readBlocked, unblockSender } from '../../shared/blocked-senders.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import { foldedAddress } from '../../shared/mail/ascii-domain.ts'
import { formatSecond } from '../../shared/report/units.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, operatorName } from './connect.ts'
import { mailboxOf } from './operands.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'

const pair = [
  { name: 'SENDER', required: true },
  { name: 'RECIPIENT', required: false },
] as const

export const blockList: Command = {
  words: ['block', 'list'],
  operands: [],
  summary: 'senders whose mail is refused at RCPT, and for whom',
  run: list,
}

export const blockAdd: Command = {
  words: ['block', 'add'],
  operands: pair,
  summary: 'refuse mail from an address, or from @DOMAIN, to one recipient or to everybody here',
  run: add,
}

export const blockRemove: Command = {
  words: ['block', 'remove'],
  operands: pair,
  summary: 'take mail from a blocked sender again',
  run: remove,
}

async function list(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const blocked = await readBlocked((await findPlace(invocation)).dataFolder)
  if (options.has('json')) terminal.print(JSON.stringify({ blocked }, undefined, 2))
  else if (blocked.length === 0) terminal.print('No sender is blocked.')
  else {
    const rows = blocked.map(({ sender, recipient, at, by }) => [
      visible(sender),
      recipient === '*' ? 'everybody' : visible(recipient),
      formatSecond(at),
      visible(by),
    ])
    const columns = [{ title: 'sender' }, { title: 'for' }, { title: 'since' }, { title: 'by' }]
    for (const line of textTable(columns, rows)) terminal.print(line)
  }
  return exitCodes.done
}

async function add(invocation: Invocation): Promise<number> {
  const { sender, recipient } = pairOf(invocation)
  const { dataFolder } = await findPlace(invocation)
  const isNews = await blockSender(dataFolder, { sender, recipient, at: Date.now(), by: operatorName() })
  return tell(invocation, { sender, recipient }, isNews ? 'is blocked' : 'was blocked already')
}

async function remove(invocation: Invocation): Promise<number> {
  const { sender, recipient } = pairOf(invocation)
  const { dataFolder } = await findPlace(invocation)
  if (!(await unblockSender(dataFolder, { sender, recipient }))) throw new ControlError(`${sender} is not blocked`)
  return tell(invocation, { sender, recipient }, 'may write again')
}

interface Pair {
  readonly sender: string
  readonly recipient: string
}

function tell({ terminal, options }: Invocation, pair: Pair, what: string): number {
  const whom = pair.recipient === '*' ? 'everybody' : pair.recipient
  terminal.print(options.has('json') ? JSON.stringify(pair) : `${pair.sender} ${what} for ${whom}`)
  return exitCodes.done
}

/** In the form mail is compared in. */
function pairOf({ operands }: Invocation): Pair {
  const [sender = '', recipient = '*'] = operands
  const from = /^@[^@\s]+$/.test(sender) ? foldedAddress(sender) : parseMailbox(sender)?.toLowerCase()
  if (from === undefined) throw new UsageError(`'${sender}' is neither an address nor @DOMAIN`)
  return { sender: from, recipient: recipient === '*' ? recipient : mailboxOf(recipient).toLowerCase() }
}
