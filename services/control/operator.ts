import { roles } from '../../shared/config/operators.ts'
import type { Role } from '../../shared/config/operators.ts'
import { addOperator, changeOperator, listOperators, removeOperator } from '../../shared/start/operators-file.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askOption, fileOption, givePassword, identityFile } from './identity-file.ts'

const file = fileOption('operators')
const name = { name: 'NAME', required: true } as const

export const operatorList: Command = {
  words: ['operator', 'list'],
  operands: [],
  options: [file],
  summary: 'who may sign in at the dashboard of the containers',
  run: list,
}

export const operatorAdd: Command = {
  words: ['operator', 'add'],
  operands: [name],
  options: [file, askOption, { name: 'role', value: 'ROLE', summary: `${roles.join(', ')} (operator)` }],
  summary: 'let somebody sign in at the dashboard; prints the password, once',
  run: add,
}

export const operatorPassword: Command = {
  words: ['operator', 'password'],
  operands: [name],
  options: [file, askOption],
  summary: 'give an operator another password; prints it, once',
  run: (invocation) =>
    givePassword(invocation, async (hash) => {
      await changeOperator(identityFile(invocation, 'operators'), nameOf(invocation), hash)
      return nameOf(invocation)
    }),
}

export const operatorRemove: Command = {
  words: ['operator', 'remove'],
  operands: [name],
  options: [file],
  summary: 'let an operator sign in no more; a session ends at once',
  run: remove,
}

async function list(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation
  const names = await listOperators(identityFile(invocation, 'operators'))
  if (options.has('json')) terminal.print(JSON.stringify({ operators: names }))
  else for (const one of names) terminal.print(one)
  return exitCodes.done
}

function add(invocation: Invocation): Promise<number> {
  const role = roleOf(invocation.options.text('role') ?? 'operator')
  return givePassword(invocation, async (hash) => {
    await addOperator(identityFile(invocation, 'operators'), nameOf(invocation), role, hash)
    return nameOf(invocation)
  })
}

async function remove(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation
  await removeOperator(identityFile(invocation, 'operators'), nameOf(invocation))
  const text = `${nameOf(invocation)} can sign in no more`
  terminal.print(options.has('json') ? JSON.stringify({ operator: nameOf(invocation) }) : text)
  return exitCodes.done
}

function roleOf(text: string): Role {
  const role = roles.find((one) => one === text)
  if (role === undefined) throw new UsageError(`--role ${text}: one of ${roles.join(', ')} is wanted`)
  return role
}

function nameOf({ operands }: Invocation): string {
  return operands[0] ?? ''
}
