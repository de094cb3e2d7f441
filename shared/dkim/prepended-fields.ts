import type { HeaderEdit } from '../mail/header-edit.ts'
import { rawFields, trimBlanks } from './raw-field.ts'

/** Fields of that name (in lower case) that stages put on top. */
export function prependedFields(edits: readonly HeaderEdit[], name: string): readonly string[] {
  return edits
    .flatMap((edit) => (edit.kind === 'prepend' ? rawFields(Buffer.from(edit.fields)) : []))
    .filter((field) => field.name === name)
    .map(({ raw }) => raw)
}

/** What stands behind the colon of the Authentication-Results our filter put on; one that came with the message is anybody's. */
export function ownResults(edits: readonly HeaderEdit[], authservId: string): string | undefined {
  const values = prependedFields(edits, 'authentication-results').map((raw) => raw.slice(raw.indexOf(':') + 1, -2))
  return values.findLast((value) => trimBlanks(value).startsWith(`${authservId};`))
}
