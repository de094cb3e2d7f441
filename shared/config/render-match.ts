import type { Condition } from './model.ts'
import { renderTable } from './render-table.ts'
import { listOf } from './table-grammar.ts'

/**
 * The `match` statements, without their endings, that together hold when the conditions of one old rule hold (section 12.3). None:
 * the old rule can never match.
 */
export function renderMatches(conditions: readonly Condition[]): readonly string[] {
  const of = (kind: Condition['kind']): Condition | undefined => conditions.find((one) => one.kind === kind)
  const from = conditions.find(({ kind }) => kind === 'from-any' || kind === 'from-local' || kind === 'from-src')
  const to = conditions.find(({ kind }) => kind === 'for-any' || kind === 'for-local' || kind === 'for-domain')
  const rest = [of('mail-from'), of('rcpt-to'), to].flatMap((one) => (one === undefined ? [] : [render(one)]))
  const tag = of('tag')
  return sourcesOf(from, of('auth')).map((source) =>
    ['match', tag === undefined ? '' : render(tag), source, ...rest].filter((part) => part !== '').join(' '),
  )
}

/** Authenticated clients counted as local: `from local` took them, and `from source` did not. */
function sourcesOf(from: Condition | undefined, auth: Condition | undefined): readonly string[] {
  const strangersOnly = '! auth'
  if (from?.kind === 'from-any') {
    return from.not ? [] : [['from any', ...(auth === undefined ? [] : [render(auth)])].join(' ')]
  }
  if (from?.kind === 'from-src') {
    const takesLocal = from.table !== undefined && listOf(from.table).includes('local')
    const authenticated = takesLocal !== from.not && auth?.not !== true ? ['from auth'] : []
    const strangers = auth?.not === false ? [] : [`${render(from)} ${strangersOnly}`]
    return [...strangers, ...authenticated]
  }
  if (from?.not === true) return auth?.not === false ? [] : [`! from local ${strangersOnly}`]
  if (auth === undefined) return ['', 'from auth']
  return [auth.not ? strangersOnly : 'from auth']
}

function render(condition: Condition): string {
  const not = condition.not ? '! ' : ''
  const words = condition.kind.replace(/^(from|for)-/, '$1 ')
  const table = 'table' in condition && condition.table !== undefined ? ` ${renderTable(condition.table)}` : ''
  return `${not}${words}${table}`
}
