import { join } from 'node:path'

import { hashPassword } from '../../shared/crypt/hash-password.ts'
import { newPassword } from '../../shared/start/new-password.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Invocation, Option } from './command.ts'

export const askOption: Option = { name: 'ask', summary: 'ask for the password instead of making one up' }

/** For commands that work on a file that `init` made. */
export function fileOption(name: string): Option {
  return { name: 'file', value: 'FILE', summary: `the file ($SLUICE_IDENTITY/${name})` }
}

/** @throws ControlError when nobody says where it is */
export function identityFile({ options, environment }: Invocation, name: string): string {
  const named = options.text('file')
  if (named !== undefined) return named
  const folder = environment['SLUICE_IDENTITY'] ?? ''
  if (folder === '') throw new ControlError(`name the file of ${name}: --file FILE, or set SLUICE_IDENTITY`)
  return join(folder, name)
}

/**
 * Gives an account a password: made up and printed, once, or asked for with `--ask` and not printed.
 * @param change takes the hash; returns the account as it is called
 */
export async function givePassword(
  { options, terminal }: Invocation,
  change: (hash: string) => Promise<string>,
): Promise<number> {
  const asked = options.has('ask') ? await terminal.askSecret('Password: ') : undefined
  if (options.has('ask') && (asked ?? '') === '') throw new ControlError('no password was given')
  const password = asked ?? newPassword()
  const account = await change(await hashPassword(password, 'sha512'))
  const shown = asked === undefined ? password : undefined
  if (options.has('json')) terminal.print(JSON.stringify({ account, password: shown }))
  else terminal.print(`${account}${shown === undefined ? '' : `  ${terminal.paint('bold', shown)}`}`)
  return exitCodes.done
}
