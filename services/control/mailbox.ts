import { join } from 'node:path'

import { hashPassword } from '../../shared/crypt/hash-password.ts'
import { addMailbox, changeMailbox, listMailboxes, removeMailbox } from '../../shared/start/mailboxes.ts'
import { newPassword } from '../../shared/start/new-password.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation, Option } from './command.ts'

const file: Option = { name: 'file', value: 'FILE', summary: 'file of mailboxes ($SLUICE_IDENTITY/mailboxes)' }
const ask: Option = { name: 'ask', summary: 'ask for the password instead of making one up' }

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
  options: [file, ask],
  summary: 'give somebody a mailbox; prints the password, once',
  run: (invocation) => withPassword(invocation, addMailbox),
}

export const mailboxPassword: Command = {
  words: ['mailbox', 'password'],
  operands: [{ name: 'ADDRESS', required: true }],
  options: [file, ask],
  summary: 'give a mailbox another password; prints it, once',
  run: (invocation) => withPassword(invocation, changeMailbox),
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
  const { operands, options, terminal } = invocation
  const address = await removeMailbox(fileOf(invocation), operands[0] ?? '')
  terminal.print(options.has('json') ? JSON.stringify({ address }) : `${address} has no mailbox any more`)
  return exitCodes.done
}

/** Made up, or asked for with `--ask`; what was asked for is not printed. */
async function withPassword(
  invocation: Invocation,
  change: (file: string, address: string, hash: string) => Promise<string>,
): Promise<number> {
  const { operands, options, terminal } = invocation
  const asked = options.has('ask') ? await terminal.askSecret('Password: ') : undefined
  if (options.has('ask') && (asked ?? '') === '') throw new ControlError('no password was given')
  const password = asked ?? newPassword()
  const address = await change(fileOf(invocation), operands[0] ?? '', await hashPassword(password, 'sha512'))
  const shown = asked === undefined ? password : undefined
  if (options.has('json')) terminal.print(JSON.stringify({ address, password: shown }))
  else terminal.print(`${address}${shown === undefined ? '' : `  ${terminal.paint('bold', shown)}`}`)
  return exitCodes.done
}

function fileOf({ options, environment }: Invocation): string {
  const named = options.text('file')
  if (named !== undefined) return named
  const folder = environment['SLUICE_IDENTITY'] ?? ''
  if (folder === '') throw new ControlError('name the file of mailboxes: --file FILE, or set SLUICE_IDENTITY')
  return join(folder, 'mailboxes')
}
