import { faultOfCommand } from './argv.ts'
import type { PolicyDraft } from './policy-draft.ts'

/** Reads a command of `mda` or `mda wrapper`, and reports what cannot be run. */
export function readCommand({ reader }: PolicyDraft, kind: 'mda' | 'wrapper'): string {
  const command = reader.string('a command')
  const fault = faultOfCommand(command.text, kind)
  if (fault !== undefined) {
    const hint = 'put what needs a shell into a script, and give it values as arguments: "/path/script %{rcpt}"'
    reader.report('unsupported', fault, command.span, hint)
  }
  return command.text
}
