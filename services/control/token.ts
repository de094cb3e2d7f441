import { makeToken, scopes } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'

export const tokenCommand: Command = {
  words: ['token'],
  operands: [{ name: 'NAME', required: true }],
  options: [{ name: 'scope', value: 'SCOPE', multiple: true, summary: `${scopes.join(', ')} (read)` }],
  summary: 'make a token for the API: what a client sends, and its line in the table of tokens',
  run,
}

async function run({ operands, options, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands
  const given = options.texts('scope').flatMap((text) => text.split(','))
  const { token, entry } = tokenOf(name, given.length === 0 ? ['read'] : given.map(scopeOf))
  if (options.has('json')) terminal.print(JSON.stringify({ token, entry: `${name} ${entry}` }))
  else {
    terminal.print(`token, shown this once:  ${token}`)
    terminal.print(`line of the table:       ${name} ${entry}`)
  }
  return exitCodes.done
}

function scopeOf(word: string): Scope {
  const scope = scopes.find((one) => one === word)
  if (scope === undefined) throw new UsageError(`there is no scope '${word}'; there are: ${scopes.join(' ')}`)
  return scope
}

function tokenOf(name: string, of: readonly Scope[]): ReturnType<typeof makeToken> {
  try {
    return makeToken(name, of)
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}
