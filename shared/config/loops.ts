import type { Diagnostic } from './diagnostic.ts'
import type { Condition, Configuration, Position, Rule, Table } from './model.ts'
import { externalOf, returnListener } from './externals.ts'
import { queueOfRelay } from './return-tags.ts'
import { tableKeys } from './table-key.ts'

/** A rule that sends mail into a queue it came from, when no rule before it takes the mail. */
export interface Loop {
  readonly at: Position
  readonly fault: Pick<Diagnostic, 'code' | 'message'> & { readonly hint: string }
}

/**
 * Follows each rule that leads into a queue: the message comes back with the tag, and what the rule asked about its sender and
 * recipient still holds. What else depends on the message is not decided here: the router refuses a loop at RCPT.
 */
export function findLoops(configuration: Configuration): readonly Loop[] {
  const loops = new Map<string, Loop>()
  const keyOfTable = tableKeys()
  const keyOf = (condition: Condition): string | undefined => lastingKey(condition, keyOfTable)
  const next = ruleFinder(configuration.rules, keyOf)
  for (const start of configuration.rules) {
    const visited: Round[] = []
    const known = new Set<string>()
    let rule: Rule | undefined = start
    let queue = queueOf(rule, configuration)
    while (rule !== undefined && queue !== undefined) {
      const { name } = queue
      if (visited.some((one) => one.name === name)) {
        loops.set(`${rule.at.file}:${rule.at.line}`, loopAt(rule, queue))
        break
      }
      visited.push(queue)
      for (const condition of rule.conditions) {
        const key = keyOf(condition)
        if (key !== undefined) known.add(key)
      }
      rule = next(
        visited.map((one) => one.tag),
        known,
      )
      queue = rule === undefined ? undefined : queueOf(rule, configuration)
    }
  }
  return [...loops.values()]
}

/** Each way through other queues is a look at all rules; what is not followed here is refused by the router. */
const maximumWays = 1000

/**
 * Finds the first rule for a message that a queue hands back with these tags and of which these conditions are known. The rules
 * that hold for all such messages are looked for once for each way, the others only where one of their conditions is known.
 */
function ruleFinder(
  rules: readonly Rule[],
  keyOf: (condition: Condition) => string | undefined,
): (tags: readonly string[], known: ReadonlySet<string>) => Rule | undefined {
  const always = new Map<string, number>()
  const byCondition = new Map<string, Set<number>>()
  for (const [index, { conditions }] of rules.entries()) {
    for (const key of conditions.map(keyOf)) {
      if (key === undefined) continue
      const indexes = byCondition.get(key) ?? new Set<number>()
      byCondition.set(key, indexes.add(index))
    }
  }
  return (tags, known) => {
    const matches = (rule: Rule | undefined, of: ReadonlySet<string>): boolean =>
      rule?.conditions.every((one) => of.has(keyOf(one) ?? '') || alwaysHolds(one, tags)) === true
    const way = tags.join(' ')
    let first = always.get(way)
    if (first === undefined) {
      if (always.size >= maximumWays) return undefined
      first = rules.findIndex((rule) => matches(rule, new Set()))
      if (first < 0) first = rules.length
      always.set(way, first)
    }
    for (const key of known) {
      for (const index of byCondition.get(key) ?? []) {
        if (index >= first) break
        if (matches(rules[index], known)) first = index
      }
    }
    return rules[first]
  }
}

/** Names a condition that a message keeps meeting on its way. */
function lastingKey(condition: Condition, keyOfTable: (table: Table) => string): string | undefined {
  switch (condition.kind) {
    case 'for-local':
      return `${condition.not} ${condition.kind}`
    case 'for-domain':
    case 'rcpt-to':
    case 'mail-from': {
      const { kind, not, regex, table } = condition
      return `${kind} ${not} ${regex} ${table === undefined ? '' : keyOfTable(table)}`
    }
    case 'from-any':
    case 'from-local':
    case 'from-socket':
    case 'for-any':
    case 'tls':
    case 'from-src':
    case 'from-rdns':
    case 'tag':
    case 'helo':
    case 'auth':
      return undefined
  }
}

/** Where mail goes to come back with a tag. */
interface Round {
  readonly name: string
  readonly tag: string
}

function loopAt(rule: Rule, queue: Round): Loop {
  const message = `mail that comes back from ${queue.name} is sent into it again: it will be refused as a loop`
  const hint = `put a rule \`match tag ${queue.tag} ...\` before this one that delivers or relays it`
  return { at: rule.at, fault: { code: 'loop', message, hint } }
}

/** An external filter stands for a queue: it hands mail back with the tag of its listener. */
function queueOf(rule: Rule, configuration: Configuration): Round | undefined {
  const { actions, pipeline } = configuration
  const action = rule.decision.kind === 'action' ? actions.get(rule.decision.name) : undefined
  if (action?.kind !== 'relay' || action.host?.source.kind !== 'inline') return undefined
  const [host] = action.host.source.list ?? []
  if (host === undefined) return undefined
  const queue = queueOfRelay(pipeline.queues, host)
  if (queue !== undefined) return queue.tag === '' ? undefined : { name: `the queue "${queue.name}"`, tag: queue.tag }
  const external = externalOf(pipeline.externals, host)
  const tag = external === undefined ? undefined : returnListener(configuration.listeners, external.url)?.tag
  return external === undefined || tag === undefined ? undefined : { name: external.url, tag }
}

/** For every message that a queue hands back with these tags. */
function alwaysHolds(condition: Condition, tags: readonly string[]): boolean {
  switch (condition.kind) {
    case 'from-any':
    case 'from-local':
    case 'from-socket':
    case 'for-any':
      return !condition.not
    case 'tag':
      return !condition.regex && holdsTag(condition, tags)
    case 'for-local':
    case 'tls':
    case 'from-src':
    case 'from-rdns':
    case 'for-domain':
    case 'helo':
    case 'auth':
    case 'mail-from':
    case 'rcpt-to':
      return false
  }
}

function holdsTag(condition: Extract<Condition, { readonly regex: boolean }>, tags: readonly string[]): boolean {
  if (condition.table?.source.kind !== 'inline') return false
  const folded = (word: string): string => (condition.caseSensitive === true ? word : word.toLowerCase())
  const carried = new Set(tags.map((word) => folded(word)))
  return (condition.table.source.list ?? []).some((word) => carried.has(folded(word))) !== condition.not
}
