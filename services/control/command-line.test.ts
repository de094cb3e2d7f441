import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseCommandLine } from './command-line.ts'
import { UsageError } from './command.ts'
import { commands } from './commands.ts'
import { helpText } from './help.ts'

function understood(line: string): string {
  const parsed = parseCommandLine(commands, line.split(' ').filter(Boolean))
  if (parsed.kind === 'help') return `help ${parsed.command?.words.join(' ') ?? 'all'}`
  return [parsed.command.words.join(' '), ...parsed.operands.map((operand) => `<${operand}>`)].join(' ')
}

test('words may be shortened, options stand anywhere', () => {
  const table: readonly (readonly [string, string])[] = [
    ['show queue', 'show queue'],
    ['sh q', 'show queue'],
    ['show message 0mi8v2c4bm00000001', 'show message <0mi8v2c4bm00000001>'],
    ['--json show m abc', 'show message <abc>'],
    ['show m -d /srv/sluice abc --json', 'show message <abc>'],
    ['show queue relay', 'show queue <relay>'],
    ['sched all', 'schedule <all>'],
    ['rem abc', 'remove <abc>'],
    ['pa relay', 'pause <relay>'],
    ['spool cat abc', 'spool cat <abc>'],
    ['dk rec', 'dkim record'],
    ['dk st', 'dkim status'],
    ['do x.org', 'doctor <x.org>'],
    ['help', 'help all'],
    ['', 'help all'],
    ['help show m', 'help show message'],
    ['send --help', 'help send'],
  ]
  for (const [line, meaning] of table) assert.equal(understood(line), meaning, line)
})

test('a wrong command line is answered by one line that says what is wrong', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['fly', /^unknown command 'fly'; one of: show, /],
    ['s queue', /^'s' may mean show, schedule, /],
    ['show', /^what next\? status, queue, message/],
    ['trace', /^ID is missing; usage: sluicectl trace ID$/],
    ['trace a b', /^'b' is too much; usage: sluicectl trace ID$/],
    ['rebuild --bcrypt', /^--bcrypt is not an option of 'rebuild'$/],
    ['rebuild --nonsense', /^Unknown option '--nonsense'/],
    ['send --from', /--from <value>' argument missing/],
  ]
  for (const [line, message] of table) {
    assert.throws(
      () => understood(line),
      (error) => error instanceof UsageError && message.test(error.message) && !error.message.includes('\n'),
      line,
    )
  }
})

test('the help names every command and every option', () => {
  const all = helpText(commands)
  for (const command of commands) {
    assert.ok(all.includes(command.words.join(' ')))
    const about = helpText(commands, command)
    assert.ok(about.includes(command.summary))
    for (const option of command.options ?? []) assert.ok(about.includes(`--${option.name}`))
  }
})

test('no two commands have the same words, none stands for the beginning of another', () => {
  for (const one of commands) {
    for (const other of commands) {
      if (one === other) continue
      assert.notDeepEqual(other.words.slice(0, one.words.length), one.words)
    }
  }
})
