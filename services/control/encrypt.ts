import { hashPassword } from '../../shared/crypt/hash-password.ts'
import type { PasswordScheme } from '../../shared/crypt/hash-password.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'

export const encrypt: Command = {
  words: ['encrypt'],
  operands: [{ name: 'PASSWORD', required: false }],
  options: [
    { name: 'bcrypt', summary: 'bcrypt instead of SHA-512 crypt' },
    { name: 'scram', summary: 'a secret for SCRAM-SHA-256, which the other mechanisms take too' },
  ],
  summary: 'the hash of a password for a credentials table; asks for it when none is given',
  run,
}

async function run({ operands, options, terminal }: Invocation): Promise<number> {
  const password = operands[0] ?? (await terminal.askSecret('Password: '))
  if (password === undefined || password === '') throw new ControlError('no password was given')
  const hash = await hashOrExplain(
    password,
    options.has('scram') ? 'scram' : options.has('bcrypt') ? 'bcrypt' : 'sha512',
  )
  terminal.print(options.has('json') ? JSON.stringify({ hash }) : hash)
  return exitCodes.done
}

async function hashOrExplain(password: string, scheme: PasswordScheme): Promise<string> {
  try {
    return await hashPassword(password, scheme)
  } catch (error) {
    if (error instanceof RangeError) throw new ControlError(error.message, exitCodes.failed, { cause: error })
    throw error
  }
}
