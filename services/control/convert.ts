import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { convertToModern } from '../../shared/config/convert.ts'
import { renderDiagnostic } from '../../shared/config/diagnostic.ts'
import { readCommandLine } from '../../shared/start/command-line.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'

export const convert: Command = {
  words: ['convert'],
  operands: [{ name: 'FILE', required: true }],
  summary: 'print an smtpd.conf of OpenSMTPD 5.3 to 6.0 in the grammar of 6.4 and later; its comments stay',
  run,
}

/** The file goes to standard output, what to look at in it to standard error. */
async function run({ terminal, options, operands, environment }: Invocation): Promise<number> {
  const path = resolve(operands[0] ?? '')
  const defined = options.texts('define').flatMap((text) => ['-D', text])
  const { definitions } = readCommandLine(defined, environment)
  const { text, notes } = convertToModern(path, { read: readText, definitions })
  for (const note of notes) {
    if (note.code !== 'missing-file') terminal.warn(renderDiagnostic({ ...note, severity: 'warning' }))
  }
  terminal.print(options.has('json') ? JSON.stringify({ text, diagnostics: notes }, undefined, 2) : text.trimEnd())
  return exitCodes.done
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ControlError(`cannot read ${path}: ${reason}`, exitCodes.configuration, { cause: error })
  }
}
