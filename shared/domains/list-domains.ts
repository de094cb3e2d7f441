import { basename } from 'node:path'

import { isExternal, TableError } from '../config/external-table.ts'
import type { Action, Condition, Configuration, Position, Rule } from '../config/model.ts'
import { queueOfRelay } from '../config/return-tags.ts'
import type { TableSet } from '../config/tables.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'

/** What this server does for a domain: keeps its mailboxes, passes its mail on, signs mail in its name. */
export type DomainUse = 'local' | 'relayed' | 'signed'

export interface ListedDomain {
  /** In lower case and A-labels; with `*` it is a pattern. */
  readonly name: string
  readonly isPattern: boolean
  readonly uses: readonly DomainUse[]
  /** file:line of what says so, each once. */
  readonly saidAt: readonly string[]
}

/** Something that names domains, and cannot be gone through. */
export interface UnlistedDomains {
  readonly what: string
  readonly saidAt: string
  readonly reason: string
}

export interface DomainList {
  /** By name. */
  readonly domains: readonly ListedDomain[]
  readonly unlisted: readonly UnlistedDomains[]
  /** A key signs for every domain that has none of its own. */
  readonly signsAll: boolean
}

/** Every domain that rules take mail of strangers for, and those that keys sign for. Tables are read; of those that only answer questions it is told. */
export function listDomains(configuration: Configuration, tables: Pick<TableSet, 'entries'>): DomainList {
  const found = new Found()
  for (const rule of configuration.rules) {
    const use = useOf(rule, configuration)
    if (use === undefined) continue
    for (const condition of rule.conditions) noteCondition(condition, { use, rule, found, configuration, tables })
  }
  const { dkim } = configuration.pipeline
  for (const { domain } of dkim) if (domain !== '*') found.note(domain, 'signed', undefined)
  return { ...found.list(), signsAll: dkim.some(({ domain }) => domain === '*') }
}

/** Undefined: it refuses, hands on to a queue of ours, or is not for mail of strangers. */
function useOf(rule: Rule, { actions, pipeline }: Configuration): DomainUse | undefined {
  if (rule.decision.kind === 'reject') return undefined
  const action = actions.get(rule.decision.name)
  if (action === undefined) return undefined
  if (action.kind === 'local') return 'local'
  return isHop(action, pipeline) || !isForStrangers(rule) ? undefined : 'relayed'
}

function isHop(action: Extract<Action, { readonly kind: 'relay' }>, { queues }: Configuration['pipeline']): boolean {
  const [host] = action.host?.source.kind === 'inline' ? (action.host.source.list ?? []) : []
  return host !== undefined && queueOfRelay(queues, host) !== undefined
}

function isForStrangers({ conditions }: Rule): boolean {
  const asksWho = conditions.some(({ kind, not }) => kind === 'auth' && !not)
  const isFromUs = conditions.some(({ kind, not }) => (kind === 'from-local' || kind === 'from-socket') && !not)
  return !asksWho && !isFromUs
}

interface Noting {
  readonly use: DomainUse
  readonly rule: Rule
  readonly found: Found
  readonly configuration: Configuration
  readonly tables: Pick<TableSet, 'entries'>
}

function noteCondition(condition: Condition, { use, rule, found, configuration, tables }: Noting): void {
  if (condition.not) return
  if (condition.kind === 'for-local') found.note(configuration.hostname, use, rule.at)
  if (condition.kind !== 'for-domain' || condition.table === undefined) return
  const { table } = condition
  if (condition.regex) return found.cannotList('regular expressions', rule.at, 'they fit names, and are none')
  if (isExternal(table))
    return found.cannotList(`table <${table.name}>`, rule.at, 'it answers questions, and tells no list')
  try {
    for (const entry of tables.entries(table)) found.note(entry, use, rule.at)
  } catch (error) {
    if (!(error instanceof TableError)) throw error
    found.cannotList(`table <${table.name}>`, rule.at, error.message)
  }
}

class Found {
  readonly #domains = new Map<string, { readonly uses: Set<DomainUse>; readonly saidAt: Set<string> }>()
  readonly #unlisted = new Map<string, UnlistedDomains>()

  note(entry: string, use: DomainUse, at: Position | undefined): void {
    const name = asciiDomain(entry) ?? entry.toLowerCase()
    const known = this.#domains.get(name) ?? { uses: new Set(), saidAt: new Set() }
    known.uses.add(use)
    if (at !== undefined) known.saidAt.add(placeOf(at))
    this.#domains.set(name, known)
  }

  cannotList(what: string, at: Position, reason: string): void {
    const saidAt = placeOf(at)
    this.#unlisted.set(`${what} ${saidAt}`, { what, saidAt, reason })
  }

  list(): Pick<DomainList, 'domains' | 'unlisted'> {
    const domains = [...this.#domains].map(([name, { uses, saidAt }]) => ({
      name,
      isPattern: name.includes('*'),
      uses: [...uses],
      saidAt: [...saidAt],
    }))
    return {
      domains: domains.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
      unlisted: [...this.#unlisted.values()],
    }
  }
}

function placeOf({ file, line }: Position): string {
  return `${basename(file)}:${line}`
}
