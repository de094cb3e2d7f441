import { modernKeywords } from './keywords.ts'
import { quoteString } from './lexer.ts'
import type { Table } from './model.ts'

/** A table as a statement of smtpd.conf uses it: by its name, or inline. */
export function renderTable({ name, source }: Table): string {
  if (source.kind !== 'inline' || !name.startsWith('<inline ')) return `<${renderName(name)}>`
  if (source.map !== undefined) {
    return `{ ${[...source.map].map(([key, value]) => `${quoteString(key)} = ${quoteString(value)}`).join(', ')} }`
  }
  const [only = '', ...more] = source.list ?? []
  return more.length === 0 ? quoteString(only) : `{ ${[only, ...more].map((one) => quoteString(one)).join(', ')} }`
}

/** Without quotes when the lexer of either grammar takes it for a name. */
function renderName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) && !modernKeywords.has(name) ? name : quoteString(name)
}
