import { parseArgs } from 'node:util'

import { OptionValues, UsageError, commonOptions } from './command.ts'
import type { Command, Operand, Option } from './command.ts'

export type CommandLine =
  | { readonly kind: 'help'; readonly command?: Command }
  | {
      readonly kind: 'run'
      readonly command: Command
      readonly operands: readonly string[]
      readonly options: OptionValues
    }

/**
 * Reads a command line against the table of commands. Words may be shortened to unambiguous prefixes; options may stand anywhere.
 * @throws UsageError one line
 */
export function parseCommandLine(commands: readonly Command[], args: readonly string[]): CommandLine {
  const { words, given } = splitOptions(commands, args)
  const help = given.has('help')
  if (words.length === 0 || words[0] === 'help') return helpAbout(commands, words.slice(1))
  const { command, operands } = matchCommand(commands, words)
  if (help) return { kind: 'help', command }
  const known = new Set([...commonOptions, ...(command.options ?? [])].map((option) => option.name))
  for (const name of given.keys()) {
    if (!known.has(name)) throw new UsageError(`--${name} is not an option of '${command.words.join(' ')}'`)
  }
  const required = command.operands.filter((operand) => operand.required)
  const missing = required[operands.length]
  if (missing !== undefined) throw new UsageError(`${missing.name} is missing; usage: ${usageOf(command)}`)
  const extra = command.operands.at(-1)?.multiple === true ? undefined : operands[command.operands.length]
  if (extra !== undefined) throw new UsageError(`'${extra}' is too much; usage: ${usageOf(command)}`)
  return { kind: 'run', command, operands, options: new OptionValues(given) }
}

/** `sluicectl show message ID` */
export function usageOf(command: Command): string {
  const operands = command.operands.map(operandUsage)
  const options = (command.options ?? []).map((option) => `[${optionUsage(option)}]`)
  return ['sluicectl', ...command.words, ...options, ...operands].join(' ')
}

export function operandUsage({ name, required, multiple }: Operand): string {
  const names = multiple === true ? `${name}...` : name
  return required ? names : `[${names}]`
}

export function optionUsage(option: Option): string {
  return option.value === undefined ? `--${option.name}` : `--${option.name} ${option.value}`
}

function helpAbout(commands: readonly Command[], words: readonly string[]): CommandLine {
  return words.length === 0 ? { kind: 'help' } : { kind: 'help', command: matchCommand(commands, words).command }
}

interface Split {
  readonly words: readonly string[]
  readonly given: Map<string, (string | true)[]>
}

/** An option means the same for each command that has it, so words and options are told apart before the command is known. */
function splitOptions(commands: readonly Command[], args: readonly string[]): Split {
  const all = [...commonOptions, ...commands.flatMap((command) => command.options ?? [])]
  const options = Object.fromEntries(
    all.map((option) => [
      option.name,
      {
        type: option.value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: true,
        ...(option.short === undefined ? {} : { short: option.short }),
      },
    ]),
  )
  const given = new Map<string, (string | true)[]>()
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
    for (const [name, values] of Object.entries(parsed.values)) {
      if (Array.isArray(values))
        given.set(
          name,
          values.filter((value) => value !== false),
        )
    }
    return { words: parsed.positionals, given }
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message), { cause: error })
  }
}

function matchCommand(
  commands: readonly Command[],
  words: readonly string[],
): { readonly command: Command; readonly operands: readonly string[] } {
  let candidates = commands
  for (let depth = 0; ; depth += 1) {
    const complete = candidates.find((command) => command.words.length === depth)
    if (complete !== undefined) return { command: complete, operands: words.slice(depth) }
    const given = words[depth]
    if (given === undefined) throw new UsageError(`what next? ${listWords(candidates, depth)}`)
    const exact = candidates.filter((command) => command.words[depth] === given)
    const found = exact.length > 0 ? exact : candidates.filter((command) => command.words[depth]?.startsWith(given))
    if (found.length === 0) throw new UsageError(`unknown command '${given}'; one of: ${listWords(candidates, depth)}`)
    if (new Set(found.map((command) => command.words[depth])).size > 1)
      throw new UsageError(`'${given}' may mean ${listWords(found, depth)}`)
    candidates = found
  }
}

function listWords(commands: readonly Command[], depth: number): string {
  return [...new Set(commands.map((command) => command.words[depth] ?? ''))].join(', ')
}

function firstSentence(text: string): string {
  return text.split(/\.\s/)[0] ?? text
}
