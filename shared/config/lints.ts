import { statSync } from 'node:fs'

import type { Diagnostic } from './diagnostic.ts'
import type { Condition, Configuration, Position, Rule } from './model.ts'
import { isLoopback } from './loopback.ts'
import { restrictionLints } from './restriction-faults.ts'
import { queueOfRelay } from './return-tags.ts'
import { unreachableRules } from './unreachable.ts'

/** What starts and runs, and what an operator should look at all the same. */
export interface Lint {
  readonly at: Position
  readonly fault: Pick<Diagnostic, 'code' | 'message'> & { readonly hint: string }
}

/** Looks at sockets of the file system too; one that is not there is told by nobody here. */
export function lintConfiguration(configuration: Configuration): readonly Lint[] {
  return [
    ...unreachableRules(configuration.rules),
    ...deliveriesForAnyDomain(configuration),
    ...openSockets(configuration),
    ...restrictionLints(configuration),
  ]
}

/**
 * A rule that delivers here whatever the domain is safe while only mail for our domains reaches it: by a tag that no stranger's
 * connection gets, and that a queue gives only to mail that another rule chose by its domain.
 */
function deliveriesForAnyDomain(configuration: Configuration): readonly Lint[] {
  const feeders = feedersOf(configuration)
  return configuration.rules.flatMap((rule) => {
    if (!isForAny(rule) || !deliversHere(rule, configuration)) return []
    const why = wayForStrangers(rule, configuration, feeders)
    if (why === undefined) return []
    const message = `mail for any domain is delivered here: ${why}`
    const hint = 'write `for domain` and your domains, or `for local`, instead of `for any`'
    return [{ at: rule.at, fault: { code: 'deliver-any-domain', message, hint } }]
  })
}

interface Feeder {
  readonly rule: Rule
  /** Of the queue it sends mail for any domain of strangers to. */
  readonly tag: string
}

function feedersOf(configuration: Configuration): readonly Feeder[] {
  const feeders = new Map<string, Feeder>()
  for (const rule of configuration.rules) {
    if (!isForAny(rule) || !takesStrangers(rule)) continue
    const tag = queueOf(rule, configuration)?.tag ?? ''
    if (tag !== '' && !feeders.has(tag)) feeders.set(tag, { rule, tag })
  }
  return [...feeders.values()]
}

function wayForStrangers(rule: Rule, configuration: Configuration, feeders: readonly Feeder[]): string | undefined {
  const tag = rule.conditions.find((one) => one.kind === 'tag')
  if (tag === undefined || tag.not) return takesStrangers(rule) ? 'the rule takes mail from strangers' : undefined
  const carries = (word: string | undefined): boolean => word !== undefined && holdsTag(tag, word)
  const open = configuration.listeners.find((one) => carries(one.tag) && !isLoopback(one.on))
  if (open !== undefined && takesStrangers(rule))
    return `the listener in line ${open.at.line} gives its tag to strangers`
  const feeding = feeders.find((one) => carries(one.tag))?.rule
  return feeding === undefined
    ? undefined
    : `the rule in line ${feeding.at.line} sends mail for any domain of strangers to it`
}

/** A socket that every user of this machine may write to takes mail past all checks. */
function openSockets({ actions, pipeline }: Configuration): readonly Lint[] {
  return [...actions.values()].flatMap((action) => {
    if (action.kind !== 'local' || action.method.kind !== 'lmtp') return []
    const { destination } = action.method
    if (!destination.startsWith('/') || pipeline.sockets.has(destination) || !isOpenToAll(destination)) return []
    const message = `every user of this machine may hand mail to the socket ${destination}`
    const hint = 'give it mode 0660 and the group of this process (Dovecot: unix_listener lmtp { mode = 0660 })'
    return [{ at: action.at, fault: { code: 'socket-mode' as const, message, hint } }]
  })
}

function isOpenToAll(path: string): boolean {
  const state = statSync(path, { throwIfNoEntry: false })
  return state !== undefined && state.isSocket() && (state.mode & 0o002) !== 0
}

function deliversHere({ decision }: Rule, { actions }: Configuration): boolean {
  const action = decision.kind === 'action' ? actions.get(decision.name) : undefined
  return action?.kind === 'local' && action.virtual === undefined && action.method.kind !== 'expand-only'
}

function queueOf({ decision }: Rule, { actions, pipeline }: Configuration) {
  const action = decision.kind === 'action' ? actions.get(decision.name) : undefined
  if (action?.kind !== 'relay' || action.host?.source.kind !== 'inline') return undefined
  const [host] = action.host.source.list ?? []
  return host === undefined ? undefined : queueOfRelay(pipeline.queues, host)
}

function isForAny({ conditions }: Rule): boolean {
  return conditions.some((one) => one.kind === 'for-any') && !conditions.some((one) => one.kind === 'rcpt-to')
}

/** Neither from this host nor authenticated. */
function takesStrangers({ conditions }: Rule): boolean {
  if (conditions.some((one) => one.kind === 'auth' && !one.not)) return false
  return conditions.some(
    (one) => (one.kind === 'from-any' && !one.not) || one.kind === 'from-rdns' || one.kind === 'from-src',
  )
}

function holdsTag(condition: Condition, word: string): boolean {
  if (condition.kind !== 'tag' || condition.regex || condition.table?.source.kind !== 'inline') return false
  return (condition.table.source.list ?? []).some((one) => one.toLowerCase() === word.toLowerCase())
}
