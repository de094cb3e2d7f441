import { parseMailbox } from '../mail/address.ts'
import { addAccount, changeAccount, listAccounts } from './account-lines.ts'
import type { AccountFile } from './account-lines.ts'
import { StartError } from './start-error.ts'

/** A line of the file that Dovecot of the containers reads (its passwd-file); it sees a change by itself. */
export function mailboxLine(address: string, hash: string): string {
  return `${address}:{CRYPT}${hash}::::::\n`
}

/** Addresses, in the order of the file. @throws StartError when it cannot be read */
export function listMailboxes(path: string): Promise<readonly string[]> {
  return listAccounts(mailboxFile(path))
}

/** @throws StartError when it is there already, or no address that a mailbox can have */
export async function addMailbox(path: string, address: string, hash: string): Promise<string> {
  const name = mailboxName(address)
  await addAccount(mailboxFile(path), name, mailboxLine(name, hash).trimEnd())
  return name
}

/** @throws StartError when there is none of that address */
export async function changeMailbox(path: string, address: string, hash: string): Promise<string> {
  const name = mailboxName(address)
  await changeAccount(mailboxFile(path), name, () => mailboxLine(name, hash).trimEnd())
  return name
}

/** Who has it no more cannot sign in and is sent nothing; mail that is there stays. @throws StartError when there is none of that address */
export async function removeMailbox(path: string, address: string): Promise<string> {
  const name = mailboxName(address)
  await changeAccount(mailboxFile(path), name, () => undefined)
  return name
}

function mailboxFile(path: string): AccountFile {
  const nameOf = (line: string): string => (line.split(':', 1)[0] ?? '').trim().toLowerCase()
  return { path, what: 'mailbox', mode: 0o644, nameOf }
}

/** Names of folders and fields of a passwd-file are made of it: letters, digits and few signs. */
function mailboxName(address: string): string {
  const name = (parseMailbox(address) ?? '').toLowerCase()
  if (!/^[a-z0-9][\w.=-]*@[a-z0-9.-]+$/.test(name))
    throw new StartError(`'${address}' cannot be a mailbox here: letters, digits, ".", "_", "=" and "-" before the "@"`)
  return name
}
