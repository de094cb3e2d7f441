import { commonOptions, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation, Option } from './command.ts'

const shells = ['bash', 'fish'] as const

/** @param commands all others: the script is made from the table that the command line is read by */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    words: ['completion'],
    operands: [{ name: shells.join('|'), required: true }],
    summary:
      'a script that completes commands and options in a shell: source <(sluicectl completion bash), in zsh behind bashcompinit',
    run: async ({ operands, terminal }: Invocation) => {
      const [shell = ''] = operands
      if (shell === 'bash') terminal.print(bashScript(commands()))
      else if (shell === 'fish') terminal.print(fishScript(commands()))
      else throw new UsageError(`no script for '${shell}'; there are: ${shells.join(' ')}`)
      return exitCodes.done
    },
  }
}

function namesOf(options: readonly Option[]): readonly string[] {
  return options.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])])
}

/** What may follow each beginning of a command: `show` -> `queue message held status`. */
function following(commands: readonly Command[]): ReadonlyMap<string, readonly string[]> {
  const next = new Map<string, Set<string>>()
  for (const { words } of commands) {
    for (let depth = 0; depth < words.length; depth += 1) {
      const before = words.slice(0, depth).join(' ')
      next.set(before, (next.get(before) ?? new Set()).add(words[depth] ?? ''))
    }
  }
  return new Map([...next].map(([before, words]) => [before, [...words]]))
}

function bashScript(commands: readonly Command[]): string {
  const words = [...following(commands)].map(([before, next]) => `    '${before}') next='${next.join(' ')}' ;;`)
  const options = commands.flatMap((command) => {
    const own = namesOf(command.options ?? [])
    return own.length === 0 ? [] : [`    '${command.words.join(' ')}') options+=' ${own.join(' ')}' ;;`]
  })
  const files = ['--smtpd-conf', '-f', '--pipeline-conf', '-p', '--data', '-d']
  return `# Completion of sluicectl for bash: source <(sluicectl completion bash)
_sluicectl() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} given='' next='' options='${namesOf(commonOptions).join(' ')}' at
  COMPREPLY=()
  case $before in
    ${files.join('|')}) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      ${[...files, '--define', '-D'].join('|')}) ((at++)) ;;
      -*) ;;
      *) given+="\${given:+ }\${COMP_WORDS[at]}" ;;
    esac
  done
  case $given in
${words.join('\n')}
  esac
  case $given in
${options.join('\n')}
  esac
  if [[ $word == -* ]]; then next=$options; fi
  mapfile -t COMPREPLY < <(compgen -W "$next" -- "$word")
}
complete -o default -F _sluicectl sluicectl`
}

function fishScript(commands: readonly Command[]): string {
  const lines = ['# Completion of sluicectl for fish: sluicectl completion fish | source', 'complete -c sluicectl -f']
  for (const { words, summary, options = [] } of commands) {
    const [first = '', second] = words
    const firstGiven = `__fish_seen_subcommand_from ${first}`
    const says = `-d '${summary.replaceAll(/['\\\\]/g, '')}'`
    if (second === undefined) lines.push(`complete -c sluicectl -n __fish_use_subcommand -a ${first} ${says}`)
    else {
      lines.push(`complete -c sluicectl -n __fish_use_subcommand -a ${first}`)
      lines.push(`complete -c sluicectl -n '${firstGiven}' -a ${second} ${says}`)
    }
    const given = second === undefined ? firstGiven : `${firstGiven}; and __fish_seen_subcommand_from ${second}`
    for (const option of options) lines.push(`complete -c sluicectl -n '${given}' ${fishOption(option)}`)
  }
  for (const option of commonOptions) lines.push(`complete -c sluicectl ${fishOption(option)}`)
  return [...new Set(lines)].join('\n')
}

function fishOption({ name, short, value, summary }: Option): string {
  const takesFile = value === 'FILE' || value === 'FOLDER'
  const flags = [
    `-l ${name}`,
    short === undefined ? '' : `-s ${short}`,
    value === undefined ? '' : takesFile ? '-r -F' : '-x',
  ]
  return `${flags.filter((flag) => flag !== '').join(' ')} -d '${summary.replaceAll(/['\\\\]/g, '')}'`
}
