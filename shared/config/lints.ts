import { statSync } from 'node:fs'

import { certificateLints } from './certificate-lints.ts'
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
    ...sameListeners(configuration),
    ...silentPort(configuration),
    ...plaintextLogins(configuration),
    ...compiledPatterns(configuration),
    ...masksOutside(configuration),
    ...certificateLints(configuration),
    ...restrictionLints(configuration),
    ...unaskedFilters(configuration),
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

/** Ports for users alone: other servers come to port 25, and find nobody there. */
function silentPort({ listeners }: Configuration): readonly Lint[] {
  const [first] = listeners.filter(({ on, port }) => (port === 465 || port === 587) && !isLoopback(on))
  if (first === undefined || listeners.some(({ port }) => port === 25)) return []
  const message = 'nothing listens on port 25: other servers bring mail there'
  return [{ at: first.at, fault: { code: 'incomplete' as const, message, hint: 'add: listen on eth0 port 25 tls' } }]
}

/** The second one finds its port taken, and nothing starts. */
function sameListeners({ listeners }: Configuration): readonly Lint[] {
  const open = listeners.filter(({ on, port }) => on !== 'socket' && port !== 0)
  return open.flatMap((listener, index) => {
    const { on, port, family, at } = listener
    const first = open.slice(0, index).find((one) => one.on === on && one.port === port && one.family === family)
    if (first === undefined) return []
    const message = `the listener in line ${first.at.line} has this address and port already`
    return [{ at, fault: { code: 'duplicate' as const, message, hint: 'keep one of the two' } }]
  })
}

/** Where somebody may listen between the client and us. */
function plaintextLogins({ listeners, pipeline }: Configuration): readonly Lint[] {
  if (!pipeline.auth.withoutTls) return []
  const clear = listeners.filter(
    ({ on, tls, auth }) => auth.kind !== 'none' && (tls === 'none' || tls === 'offered') && !isLoopback(on),
  )
  return clear.map(({ at }) => {
    const message = 'passwords are taken here on connections that are not encrypted: `auth without-tls on`'
    const hint = 'leave that out, or write `tls-require` or `smtps` here'
    return { at, fault: { code: 'plaintext-auth' as const, message, hint } }
  })
}

/** Postfix reads the text of these tables as well; what `postmap` made of it is of no use to anybody. */
function compiledPatterns({ tables }: Configuration): readonly Lint[] {
  return [...tables.values()].flatMap(({ source, at }) => {
    if (source.kind !== 'patterns') return []
    const compiled = `${source.path}.db`
    if (statSync(compiled, { throwIfNoEntry: false }) === undefined) return []
    const message = `${compiled} is not read: a table of patterns is its text, and edits of that hold at once`
    return [{ at, fault: { code: 'no-effect' as const, message, hint: 'remove the file; postmap is not needed' } }]
  })
}

/** As Postfix writes networks of IPv6; OpenSMTPD takes it for a text that no address is. */
function masksOutside({ tables }: Configuration): readonly Lint[] {
  return [...tables.values()].flatMap(({ source, at }) => {
    const entries = source.kind === 'inline' ? (source.list ?? [...(source.map?.keys() ?? [])]) : []
    const odd = entries.find((entry) => /^\[[0-9a-f:.]+\]\/\d+$/i.test(entry))
    if (odd === undefined) return []
    const message = `"${odd}" is no network: no address is in it`
    const hint = `the mask stands inside the brackets: "${odd.replace(']', '')}]"`
    return [{ at, fault: { code: 'table-content' as const, message, hint } }]
  })
}

/** Only mail whose first way is the queue can be judged before it is accepted. */
function unaskedFilters(configuration: Configuration): readonly Lint[] {
  const { rules, pipeline } = configuration
  if (rules.some((rule) => queueOf(rule, configuration)?.name === 'filter')) return []
  const message = 'nobody is asked before a message is accepted: no rule sends mail to the queue "filter"'
  const hint = 'add: action "filter" relay host "queue://filter", and a rule with it'
  return pipeline.beforeAccept.map(({ at }) => ({ at, fault: { code: 'incomplete', message, hint } }))
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
