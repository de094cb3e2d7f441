import { readFile } from 'node:fs/promises'

import type { Configuration, LocalAction, Table } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { UserInfo } from '../../shared/config/tables.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { LocalContext } from './deliver-each.ts'

/** Who is to own what is made for a user. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * What the user base of the action, else `users passwd` of pipeline.conf, says about a user; `undefined` without either.
 * @throws SmtpError when it does not know the user
 */
export async function accountOf(
  name: string,
  action: LocalAction,
  { configuration, tables }: LocalContext,
): Promise<UserInfo | undefined> {
  const table = action.userbase ?? passwdTable(configuration)
  if (table === undefined) return undefined
  const account = await settle(tables, (settled) => settled.userInfo(table, name))
  if (account === undefined) throw new SmtpError(replies.invalidRecipient)
  return account
}

/** A user of this system, whom the configuration names: never a name out of a message. */
export async function systemAccount(name: string): Promise<UserInfo | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const [, , uid, gid, , home] = lines.find(([user]) => user === name) ?? []
  if (uid === undefined || gid === undefined || home === undefined) return undefined
  return { uid: Number(uid), gid: Number(gid), home }
}

/** Only root can give files away. */
export function ownerFor(account: UserInfo | undefined): Owner | undefined {
  return account !== undefined && isRoot() ? { uid: account.uid, gid: account.gid } : undefined
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

function passwdTable({ pipeline }: Configuration): Table | undefined {
  const { users } = pipeline
  if (users.kind !== 'passwd') return undefined
  const at = { file: users.file, line: 1, column: 1 }
  return { name: 'users', source: { kind: 'file', path: users.file, format: 'passwd' }, at }
}
