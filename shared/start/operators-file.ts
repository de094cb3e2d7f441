import { parseOperator } from '../config/operators.ts'
import type { Role } from '../config/operators.ts'
import { addAccount, changeAccount, listAccounts } from './account-lines.ts'
import type { AccountFile } from './account-lines.ts'
import { StartError } from './start-error.ts'

/** Names, in the order of the file. @throws StartError when it cannot be read */
export function listOperators(path: string): Promise<readonly string[]> {
  return listAccounts(operatorsFile(path))
}

/** @throws StartError when there is one of that name, or it cannot be one */
export async function addOperator(path: string, name: string, role: Role, hash: string): Promise<void> {
  if (!/^[A-Za-z0-9][\w.@-]{0,63}$/.test(name))
    throw new StartError(`'${name}' cannot be the name of an operator: letters, digits, ".", "_", "@" and "-"`)
  await addAccount(operatorsFile(path), name, operatorLine(name, role, hash))
}

/** The role stays. @throws StartError when there is none of that name */
export function changeOperator(path: string, name: string, hash: string): Promise<void> {
  return changeAccount(operatorsFile(path), name, (line) => {
    const { role = 'operator' } = parseOperator(line.trim().split(/\s+/)[1] ?? '') ?? {}
    return operatorLine(name, role, hash)
  })
}

/** Signed out at once. @throws StartError when there is none of that name */
export function removeOperator(path: string, name: string): Promise<void> {
  return changeAccount(operatorsFile(path), name, () => undefined)
}

function operatorLine(name: string, role: Role, hash: string): string {
  return `${name} ${role}:${hash}`
}

function operatorsFile(path: string): AccountFile {
  return { path, what: 'operator', mode: 0o600, nameOf: (line) => line.trim().split(/\s+/)[0] ?? '' }
}
