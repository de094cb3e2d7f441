import { readFile } from 'node:fs/promises'

import { parseMailbox } from '../mail/address.ts'
import { putFile } from './put-file.ts'
import { StartError } from './start-error.ts'

/** A line of the file that Dovecot of the containers reads (its passwd-file); it sees a change by itself. */
export function mailboxLine(address: string, hash: string): string {
  return `${address}:{CRYPT}${hash}::::::\n`
}

/** Addresses, in the order of the file. @throws StartError when it cannot be read */
export async function listMailboxes(file: string): Promise<readonly string[]> {
  return (await linesOf(file)).map(addressOf).filter((address) => address !== '')
}

/** @throws StartError when it is there already, or no address that a mailbox can have */
export async function addMailbox(file: string, address: string, hash: string): Promise<string> {
  const name = mailboxName(address)
  const lines = await linesOf(file)
  if (lines.some((line) => addressOf(line) === name)) throw new StartError(`${name} has a mailbox already`)
  await write(file, [...lines, mailboxLine(name, hash).trimEnd()])
  return name
}

/** @throws StartError when there is none of that address */
export async function changeMailbox(file: string, address: string, hash: string): Promise<string> {
  return replace(file, address, [hash])
}

/** Who has it no more cannot sign in and is sent nothing; mail that is there stays. @throws StartError when there is none of that address */
export async function removeMailbox(file: string, address: string): Promise<string> {
  return replace(file, address, [])
}

async function replace(file: string, address: string, hashes: readonly string[]): Promise<string> {
  const name = mailboxName(address)
  const lines = await linesOf(file)
  if (!lines.some((line) => addressOf(line) === name)) throw new StartError(`${name} has no mailbox`)
  const after = lines.flatMap((line) =>
    addressOf(line) === name ? hashes.map((hash) => mailboxLine(name, hash).trimEnd()) : [line],
  )
  await write(file, after)
  return name
}

/** Names of folders and fields of a passwd-file are made of it: letters, digits and few signs. */
function mailboxName(address: string): string {
  const name = (parseMailbox(address) ?? '').toLowerCase()
  if (!/^[a-z0-9][\w.=-]*@[a-z0-9.-]+$/.test(name))
    throw new StartError(`'${address}' cannot be a mailbox here: letters, digits, ".", "_", "=" and "-" before the "@"`)
  return name
}

function addressOf(line: string): string {
  return line.startsWith('#') ? '' : (line.split(':', 1)[0] ?? '').trim().toLowerCase()
}

async function linesOf(file: string): Promise<readonly string[]> {
  try {
    return (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '')
  } catch (error) {
    throw new StartError(`cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}

function write(file: string, lines: readonly string[]): Promise<void> {
  return putFile(file, lines.map((line) => `${line}\n`).join(''), 0o644)
}
