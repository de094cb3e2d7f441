/* A filter for tests: follows everything and answers by what it is asked about. Arguments: a file for what it is told or `-`, and a way to misbehave. */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [, , trace = '-', mode = 'sound'] = process.argv
const phases = 'connect helo ehlo starttls auth mail-from rcpt-to data data-line rset quit noop commit'.split(' ')

function say(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

function decide(phase: string, argument: string): string {
  if (mode === 'die' && phase === 'mail-from' && argument === 'die@example.net') process.exit(3)
  if (mode === 'noise' && phase === 'mail-from' && argument === 'noise@example.net') say('debug: hello')
  if (argument.startsWith('reject@')) return 'reject|550 5.7.1 not that one | really'
  if (argument.startsWith('rewrite@')) return 'rewrite|<joe@localhost>'
  if (argument.startsWith('junk@')) return 'junk'
  if (argument.startsWith('report@')) return `report|seen ${argument}`
  return 'proceed'
}

function answer(fields: readonly string[], line: string): void {
  const [, , , , phase = '', session = '', token = ''] = fields
  if (phase === 'data-line') {
    if (mode === 'double-dots')
      return say(`filter-dataline|${session}|${token}|${line.startsWith('.') ? `.${line}` : line}`)
    return say(`filter-dataline|${session}|${token}|${line.replace(/^Subject: (?=.*x$)/, 'Subject: [checked] ')}`)
  }
  if (mode === 'hang' && line === 'hang@example.net') return
  say(`filter-result|${session}|${token}|${decide(phase, line)}`)
}

for await (const text of createInterface({ input: process.stdin })) {
  if (trace !== '-') appendFileSync(trace, `${text}\n`, 'latin1')
  const fields = text.split('|')
  if (text === 'config|ready')
    say(
      'register|report|smtp-in|*',
      ...phases.map((phase) => `register|filter|smtp-in|${phase}`),
      ...(mode === 'unready' ? [] : ['register|ready']),
    )
  else if (fields[0] === 'filter') answer(fields, fields.slice(7).join('|'))
}
