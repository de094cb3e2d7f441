import type { Diagnostic } from './diagnostic.ts'
import type { Condition, Position, Rule, Table } from './model.ts'
import { tableKeys } from './table-key.ts'

/** A rule that no message reaches, because one before it takes all of its mail. */
export interface Unreachable {
  readonly at: Position
  readonly fault: Pick<Diagnostic, 'code' | 'message'> & { readonly hint: string }
}

/**
 * Sees a rule behind one with the same conditions or some of them; `from any` and `for any` ask for nothing. Networks that lie in
 * others, and domains that a pattern matches, are not compared.
 */
export function unreachableRules(rules: readonly Rule[]): readonly Unreachable[] {
  const keyOfTable = tableKeys()
  const first = new Map<string, Rule>()
  return rules.flatMap((rule) => {
    const keys = rule.conditions.flatMap((one) => keyOf(one, keyOfTable)).toSorted()
    const earlier = subsets(keys)
      .map((some) => first.get(some))
      .find((one) => one !== undefined)
    const own = keys.join('\n')
    if (!first.has(own)) first.set(own, rule)
    return earlier === undefined ? [] : [unreachable(rule, earlier)]
  })
}

function unreachable(rule: Rule, earlier: Rule): Unreachable {
  const place = earlier.at.file === rule.at.file ? `line ${earlier.at.line}` : `${earlier.at.file}:${earlier.at.line}`
  const message = `this rule is never asked: the one in ${place} takes all of its mail`
  return { at: rule.at, fault: { code: 'unreachable', message, hint: 'put it before that one, or remove it' } }
}

/** Nothing for what every message meets. */
function keyOf(condition: Condition, keyOfTable: (table: Table) => string): readonly string[] {
  if ((condition.kind === 'from-any' || condition.kind === 'for-any') && !condition.not) return []
  if (!('regex' in condition)) return [JSON.stringify(condition)]
  const { table, ...rest } = condition
  return [`${JSON.stringify(rest)} ${table === undefined ? '' : keyOfTable(table)}`]
}

/** A rule has at most eight conditions. */
function subsets(keys: readonly string[]): readonly string[] {
  return keys
    .reduce<readonly (readonly string[])[]>((all, key) => [...all, ...all.map((some) => [...some, key])], [[]])
    .map((some) => some.join('\n'))
}
