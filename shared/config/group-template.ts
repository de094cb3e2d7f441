import { ExpressionError } from './ere.ts'

/** A text with what the groups of an expression matched; `found` begins with the whole match. */
export type GroupTemplate = (found: readonly string[]) => string

/** `$1`, `${1}`, `$(1)`; `$$` is a dollar. @throws ExpressionError: there is no such group */
export function groupTemplate(text: string, groups: number): GroupTemplate {
  if (!text.includes('$')) return () => text
  const parts = text.split(/(\$\$|\$\d{1,2}|\$\{\d{1,2}\}|\$\(\d{1,2}\))/)
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1 && numberIn(part) > groups)
      throw new ExpressionError(`${part}: the expression has ${groups} groups`)
  }
  return (found) =>
    parts.map((part, index) => (index % 2 === 0 ? part : part === '$$' ? '$' : (found[numberIn(part)] ?? ''))).join('')
}

function numberIn(part: string): number {
  return Number(/\d+/.exec(part)?.[0])
}
