import { headerFields } from './header-edit.ts'
import type { HeaderField } from './header-edit.ts'

/** Fields that may stand only once (RFC 5322 §3.6). */
const single: ReadonlySet<string> = new Set(
  'date from sender reply-to to cc bcc message-id in-reply-to references subject'.split(' '),
)
const longestLine = 998
const mostTold = 10

/**
 * What is wrong with a header section, one sentence each, ten at most: what others may refuse, or read in another way than it was meant.
 * Octets above 127 are wrong unless the client used SMTPUTF8 (RFC 6532). Speaks of fields by name only, never of what they say.
 */
export function headerDefects(header: Buffer, smtputf8: boolean): readonly string[] {
  const fields = headerFields(header)
  const defects = [...fields.flatMap((field) => fieldDefects(field, smtputf8)), ...repeated(fields)]
  return [...new Set(defects)].slice(0, mostTold)
}

function fieldDefects({ name, raw }: HeaderField, smtputf8: boolean): readonly string[] {
  if (!/^[\x21-\x39\x3b-\x7e]{1,77}$/.test(name)) return ['there is a line that is no field']
  const said = raw.toString('latin1')
  return [
    ...(!smtputf8 && /[\x80-\xff]/.test(said) ? [`${name} holds characters that are not ASCII and not encoded`] : []),
    ...(/\r(?!\n)|(?<!\r)\n/.test(said) ? [`${name} holds a bare CR or LF`] : []),
    ...(said.includes('\0') ? [`${name} holds a NUL`] : []),
    ...(said.split('\r\n').some((line) => line.length > longestLine)
      ? [`a line of ${name} is longer than ${longestLine} octets`]
      : []),
    ...(/\r\n[ \t]+(?=\r\n)/.test(said) ? [`${name} is folded into a line of blanks only`] : []),
  ]
}

function repeated(fields: readonly HeaderField[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { name } of fields) if (single.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].filter(([, count]) => count > 1).map(([name, count]) => `${name} stands there ${count} times`)
}
