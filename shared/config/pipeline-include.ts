import { parseIncludePath } from './statements.ts'
import type { TokenReader } from './token-reader.ts'

/**
 * `include "path" [when NAME in NAMES]`: the file is read, and looked for, only when the name is one of the list, which is divided by commas and may be empty.
 * The list is mostly a macro that the environment gives: `$profiles` is SMTPD_D_profiles.
 */
export function parsePipelineInclude(reader: TokenReader): void {
  const path = parseIncludePath(reader)
  const wanted = !reader.accept('when') || parseCondition(reader)
  reader.endOfStatement(['when'])
  if (wanted) reader.lexer.include(path.text, path.span)
}

function parseCondition(reader: TokenReader): boolean {
  const { text: name } = reader.string('the name that is looked for')
  reader.expect('in', 'before the list of names')
  const names: string[] = []
  while (!reader.atEnd()) {
    names.push(reader.string('a name of the list').text)
    if (!reader.atEnd()) reader.expect(',', 'between two names')
  }
  return names.includes(name)
}
