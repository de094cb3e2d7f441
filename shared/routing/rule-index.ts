import type { Condition, Rule, Table } from '../config/model.ts'
import { inlineContent } from '../config/tables.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'
import { domainOf, type Mailbox } from '../mail/address.ts'
import type { Transaction } from './transaction.ts'

/** Finds the rules that can match at all, so that the length of the file does not matter. */
export interface RuleIndex {
  /**
   * In the order of the file, each rule that might match; those that are missing cannot. A table that cannot be read is met as
   * often as without the index: a rule is only left out by a condition that no such table comes before.
   */
  candidates(transaction: Transaction, recipient: Mailbox): Iterable<Rule>
  /** Some rule that carries mail on names this domain literally; of the others, each is to be asked. */
  namesDomain(domain: string): boolean
  /** Rules that carry mail on and name domains by patterns or in tables outside of the file. */
  readonly openDomainRules: readonly Rule[]
}

/** A short file is read faster from the top. */
const fewRules = 24
/** A table of so many entries finds a rule only when nothing shorter does. */
const manyKeys = 1000
/** Places of all rules under all their keys: rules behind them are asked always, so that memory is bounded. */
const maximumEntries = 2_000_000

const indexes = new WeakMap<readonly Rule[], RuleIndex>()

/** Made at the first use of these rules, and kept as long as they are. */
export function indexOf(rules: readonly Rule[]): RuleIndex {
  const known = indexes.get(rules)
  if (known !== undefined) return known
  const made = buildIndex(rules)
  indexes.set(rules, made)
  return made
}

/** What the transaction must have for a rule to match: one of these keys. */
type Key = `domain ${string}` | `sender ${string}` | `tag ${string}` | `helo ${string}`

function buildIndex(rules: readonly Rule[]): RuleIndex {
  const always: number[] = []
  const byKey = new Map<Key, number[]>()
  const domains = new Set<string>()
  const openDomainRules: Rule[] = []
  const keysOfCondition = keyFinder()
  const notes: DomainNotes = { domains, openDomainRules, keysOfCondition, noted: new Set() }
  let entries = 0
  rules.forEach((rule, place) => {
    const best = keysOf(rule, keysOfCondition)
    entries += best?.size ?? 0
    const keys = entries > maximumEntries ? undefined : best
    if (keys === undefined) always.push(place)
    for (const key of keys ?? []) append(byKey, key, place)
    if (rule.decision.kind === 'action') noteDomains(rule, notes)
  })
  return {
    candidates(transaction, recipient) {
      if (rules.length <= fewRules) return rules
      const lists = [always]
      for (const key of keysOfTransaction(transaction, recipient)) {
        const list = byKey.get(key)
        if (list !== undefined) lists.push(list)
      }
      return inOrder(rules, lists)
    },
    namesDomain: (domain) => domains.has(domain),
    openDomainRules,
  }
}

function keysOfTransaction(transaction: Transaction, recipient: Mailbox): readonly Key[] {
  const { reversePath, tags, helo } = transaction
  const keys: Key[] = [`domain ${domainOf(recipient).toLowerCase()}`]
  if (reversePath !== null) keys.push(`sender ${domainOf(reversePath).toLowerCase()}`)
  for (const tag of tags) keys.push(`tag ${tag.toLowerCase()}`)
  if (helo !== undefined) keys.push(`helo ${helo.toLowerCase()}`)
  return keys
}

/** The keys of the condition that says most; absent: the rule may match anything. */
function keysOf(rule: Rule, keysOfCondition: KeyFinder): ReadonlySet<Key> | undefined {
  let best: ReadonlySet<Key> | undefined
  for (const condition of rule.conditions) {
    // A condition that may fail to be answered is met before those behind it.
    if ('table' in condition && condition.table !== undefined && condition.table.source.kind !== 'inline') break
    const keys = keysOfCondition(condition)
    if (keys !== undefined && (best === undefined || precedes(keys, best))) best = keys
  }
  return best
}

/** Domains tell more than tags: few tags mark much mail. Before all, a rule is found by few keys. */
function precedes(keys: ReadonlySet<Key>, others: ReadonlySet<Key>): boolean {
  const [many, manyOthers] = [keys.size > manyKeys, others.size > manyKeys]
  if (many !== manyOthers) return manyOthers
  return isTag(others) && !isTag(keys)
}

/** The keys of a set are of one kind. */
function isTag(keys: ReadonlySet<Key>): boolean {
  const [first] = keys
  return first?.startsWith('tag ') === true
}

type KeyFinder = (condition: Condition) => ReadonlySet<Key> | undefined

/** Reads a table once for each kind of condition, however many rules name it. */
function keyFinder(): KeyFinder {
  const known = new Map<Table, Map<Condition['kind'], ReadonlySet<Key> | undefined>>()
  return (condition) => {
    if (condition.not || !('regex' in condition) || condition.regex || condition.table === undefined) return undefined
    const ofTable = known.get(condition.table) ?? new Map<Condition['kind'], ReadonlySet<Key> | undefined>()
    known.set(condition.table, ofTable)
    if (!ofTable.has(condition.kind)) ofTable.set(condition.kind, keysOfCondition(condition))
    return ofTable.get(condition.kind)
  }
}

function keysOfCondition(condition: Condition): ReadonlySet<Key> | undefined {
  if (condition.not || !('regex' in condition) || condition.regex || condition.table === undefined) return undefined
  const entries = entriesOf(condition.table)
  switch (condition.kind) {
    case 'for-domain':
      return keysFrom(entries, 'domain', plainDomain)
    case 'helo':
      return keysFrom(entries, 'helo', plainDomain)
    case 'rcpt-to':
      return keysFrom(entries, 'domain', domainOfPattern)
    case 'mail-from':
      return keysFrom(entries, 'sender', domainOfPattern)
    case 'tag':
      return keysFrom(entries, 'tag', (entry) => entry.toLowerCase())
    case 'from-src':
    case 'from-rdns':
    case 'auth':
      return undefined
  }
}

type Kind = 'domain' | 'sender' | 'tag' | 'helo'

/** Absent when one entry has no key: it may match what the keys of the others do not say. */
function keysFrom(
  entries: readonly string[],
  kind: Kind,
  read: (entry: string) => string | undefined,
): ReadonlySet<Key> | undefined {
  const keys = new Set<Key>()
  for (const entry of entries) {
    const text = read(entry)
    if (text === undefined) return undefined
    keys.add(`${kind} ${text}`)
  }
  return keys
}

function plainDomain(entry: string): string | undefined {
  return entry.includes('*') ? undefined : (asciiDomain(entry) ?? entry.toLowerCase())
}

/** Of `user@domain` and `@domain`. */
function domainOfPattern(entry: string): string | undefined {
  const at = entry.lastIndexOf('@')
  const domain = at < 0 ? '' : entry.slice(at + 1)
  return domain === '' ? undefined : plainDomain(domain)
}

function entriesOf(table: Table): readonly string[] {
  if (table.source.kind !== 'inline') return []
  const content = inlineContent(table.source)
  return content.kind === 'list' ? content.list : [...content.map.keys()]
}

interface DomainNotes {
  readonly domains: Set<string>
  readonly openDomainRules: Rule[]
  readonly keysOfCondition: KeyFinder
  /** Sets that are in `domains` already. */
  readonly noted: Set<ReadonlySet<Key>>
}

function noteDomains(rule: Rule, { domains, openDomainRules, keysOfCondition, noted }: DomainNotes): void {
  for (const condition of rule.conditions) {
    if (condition.kind !== 'for-domain' || condition.not) continue
    const keys = condition.table?.source.kind === 'inline' ? keysOfCondition(condition) : undefined
    if (keys === undefined) openDomainRules.push(rule)
    if (keys === undefined || noted.has(keys)) continue
    noted.add(keys)
    for (const key of keys) domains.add(key.slice('domain '.length))
  }
}

function append(lists: Map<Key, number[]>, key: Key, place: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [place])
  else list.push(place)
}

/** The rules of several ascending lists of places, each once. */
function* inOrder(rules: readonly Rule[], lists: readonly (readonly number[])[]): Iterable<Rule> {
  const heads = lists.map(() => 0)
  for (;;) {
    let next = rules.length
    lists.forEach((list, which) => (next = Math.min(next, list[heads[which] ?? 0] ?? rules.length)))
    const rule = rules[next]
    if (rule === undefined) return
    lists.forEach((list, which) => {
      const head = heads[which] ?? 0
      if (list[head] === next) heads[which] = head + 1
    })
    yield rule
  }
}
