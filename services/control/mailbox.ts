import { addMailbox, changeMailbox, listMailboxes, removeMailbox } from '../../shared/start/mailboxes.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askOption, fileOption, givePassword, identityFile } from './identity-file.ts'

const file = fileOption('mailboxes')

export const mailboxList: Command = {
  words: ['mailbox', 'list'],
  operands: [],
  options: [file],
  summary: 'who has a mailbox in Dovecot of the containers',
  run: list,
}

export const mailboxAdd: Command = {
  words: ['mailbox', 'add'],
  operands: [{ name: 'ADDRESS', required: true }],
  options: [file, askOption],
  summary: 'give somebody a mailbox; prints the password, once',
  run: (invocation) => givePassword(invocation, (hash) => addMailbox(fileOf(invocation), addressOf(invocation), hash)),
}

export const mailboxPassword: Command = {
  words: ['mailbox', 'password'],
  operands: [{ name: 'ADDRESS', required: true }],
  options: [file, askOption],
  summary: 'give a mailbox another password; prints it, once',
  run: (invocation) =>
    givePassword(invocation, (hash) => changeMailbox(fileOf(invocation), addressOf(invocation), hash)),
}

export const mailboxRemove: Command = {
  words: ['mailbox', 'remove'],
  operands: [{ name: 'ADDRESS', required: true }],
  options: [file],
  summary: 'take a mailbox away from its user; the mail in it stays on disk',
  run: remove,
}

async function list(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation
  const addresses = await listMailboxes(fileOf(invocation))
  if (options.has('json')) terminal.print(JSON.stringify({ mailboxes: addresses }))
  else for (const address of addresses) terminal.print(address)
  return exitCodes.done
}

async function remove(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation
  const address = await removeMailbox(fileOf(invocation), addressOf(invocation))
  terminal.print(options.has('json') ? JSON.stringify({ address }) : `${address} has no mailbox any more`)
  return exitCodes.done
}

function fileOf(invocation: Invocation): string {
  return identityFile(invocation, 'mailboxes')
}

function addressOf({ operands }: Invocation): string {
  return operands[0] ?? ''
}
