import { operandUsage, optionUsage, usageOf } from './command-line.ts'
import { commonOptions } from './command.ts'
import type { Command, Option } from './command.ts'
import { textTable } from './text-table.ts'

/** Help about all commands, or about one. */
export function helpText(commands: readonly Command[], about?: Command): string {
  if (about !== undefined) return commandHelp(about)
  const rows = commands.map((command) => [
    `  ${[...command.words, ...command.operands.map(operandUsage)].join(' ')}`,
    command.summary,
  ])
  return [
    'usage: sluicectl [-f SMTPD.CONF] [-p PIPELINE.CONF] [-d DATA] [--json] COMMAND',
    '',
    'commands (any unambiguous beginning of a word will do):',
    ...textTable([{}, {}], rows),
    '',
    'options of every command:',
    ...optionLines(commonOptions),
    '',
    `'sluicectl help COMMAND' tells more about one. Exit codes: 0 done, 1 failed, 2 usage, 78 configuration.`,
    '',
  ].join('\n')
}

function commandHelp(command: Command): string {
  const options = command.options ?? []
  return [
    `usage: ${usageOf(command)}`,
    '',
    command.summary,
    ...(options.length === 0 ? [] : ['', 'options:', ...optionLines(options)]),
    '',
    'options of every command:',
    ...optionLines(commonOptions),
    '',
  ].join('\n')
}

function optionLines(options: readonly Option[]): readonly string[] {
  const rows = options.map((option) => [
    `  ${option.short === undefined ? '    ' : `-${option.short}, `}${optionUsage(option)}`,
    option.multiple === true ? `${option.summary}; may be repeated` : option.summary,
  ])
  return textTable([{}, {}], rows)
}
