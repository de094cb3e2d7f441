import { mechanismFaults } from './login-faults.ts'
import { deliveryFaults } from './delivery-faults.ts'
import { closest, type Diagnostic, type DiagnosticCode, type Span } from './diagnostic.ts'
import { lintConfiguration } from './lints.ts'
import { findLoops } from './loops.ts'
import { externalOf, returnListener } from './externals.ts'
import { faultOfChoice } from './listener-choice.ts'
import { isLoopback } from './loopback.ts'
import type { Action, Configuration, ExternalFilter, Listener, LocalAction, Position } from './model.ts'
import type { PipelineDraft } from './pipeline-grammar.ts'
import { queueOfHost } from './relay-url.ts'
import { uselessSetting } from './session-rules.ts'
import { restrictionFaults } from './restriction-faults.ts'
import { tlsVersions, versionsKeptOut } from './tls-words.ts'

/** What only both files together show. `textOf` gives the text of a file that was read. */
export function checkConfiguration(
  configuration: Configuration,
  pipeline: PipelineDraft,
  textOf: (file: string) => string,
): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  const linesOf = onceEach((file) => textOf(file).split('\n'))
  const say = (severity: Diagnostic['severity'], at: Position, fault: Fault): void => {
    found.push({ severity, ...fault, span: lineSpan(at, linesOf(at.file)) })
  }
  for (const action of configuration.actions.values()) {
    for (const fault of [...faultsOfAction(action, configuration), ...deliveryFaults(action, configuration)])
      say('error', action.at, fault)
    const keptOut = action.kind === 'relay' ? keptOutFault(action.protocols, configuration) : undefined
    if (keptOut !== undefined) say('warning', action.at, keptOut)
    if (acceptsAnybody(action) && !pipeline.stated.has('users')) {
      say('warning', action.at, {
        code: 'incomplete',
        message: `the action "${action.name}" takes mail for every user name, known or not`,
        hint: 'add `users from <table>` to pipeline.conf, or `userbase <table>` here; `users from any` says it is meant',
      })
    }
  }
  for (const listener of configuration.listeners) {
    const fault = protocolFault(listener.protocols, configuration)
    if (fault !== undefined) say('error', listener.at, fault)
    const keptOut = fault === undefined ? keptOutFault(listener.protocols, configuration) : undefined
    if (keptOut !== undefined) say('warning', listener.at, keptOut)
    if (listener.auth.kind === 'none' || listener.auth.table !== undefined) continue
    if (configuration.pipeline.login.length > 0) continue
    say('warning', listener.at, {
      code: 'incomplete',
      message: 'auth has no table of users: nobody can log in here',
      hint: 'write `auth <table>` here, or `login from <table>` in pipeline.conf',
    })
  }
  const authAt = configuration.listeners.find(({ auth }) => auth.kind !== 'none' && auth.table === undefined)?.at
  if (authAt !== undefined) {
    for (const message of mechanismFaults(configuration))
      say('error', authAt, { code: 'incomplete', message, hint: 'or leave it out of `auth mechanisms`' })
  }
  for (const listener of configuration.listeners) {
    if (!listener.proxy || configuration.pipeline.trustedProxies.length > 0) continue
    say('error', listener.at, {
      code: 'incomplete',
      message: '"proxy-v2" believes the address that a balancer tells, and no balancer is named',
      hint: 'write `trusted proxy NETWORK` with the addresses of the balancer in pipeline.conf',
    })
  }
  const { users } = configuration.pipeline
  const usersAt = pipeline.statedAt.get('users')
  if (
    users.kind === 'sources' &&
    users.verifiesMailbox &&
    usersAt !== undefined &&
    !deliversBy('lmtp', configuration)
  ) {
    const message = '"verify-mailbox" asks the LMTP server of an action, and no action has one'
    found.push({ severity: 'warning', code: 'no-effect', message, span: usersAt, hint: 'remove it' })
  }
  if (usersAt !== undefined && acceptsWithoutMailbox(configuration)) {
    const message =
      'whom a table names and who has no mailbox is accepted here, and bounces to senders that may be forged'
    const hint = 'write `verify-mailbox` behind the sources: the LMTP server is asked at RCPT'
    found.push({ severity: 'warning', code: 'backscatter', message, span: usersAt, hint })
  }
  const mailboxesAt = pipeline.statedAt.get('mbox')
  if (mailboxesAt !== undefined && !deliversBy('mbox', configuration)) {
    const message = 'no action delivers by `mbox`'
    const hint = 'remove it, or write `action "name" mbox` in smtpd.conf'
    found.push({ severity: 'warning', code: 'no-effect', message, span: mailboxesAt, hint })
  }
  const bannedAt = pipeline.statedAt.get('banned')
  if (configuration.pipeline.banned?.policies.length === 0 && bannedAt !== undefined) {
    const message = '"banned limits" limits a search that nothing asks for'
    found.push({ severity: 'warning', code: 'no-effect', message, span: bannedAt, hint: 'add: banned files default' })
  }
  const arcAt = pipeline.statedAt.get('arc')
  if (arcAt !== undefined && !configuration.pipeline.authResults.includes('arc')) {
    const message = '"arc seal" tells others what the filter found of ARC, and "auth-results verify" leaves it out'
    found.push({ severity: 'error', code: 'incomplete', message, span: arcAt, hint: 'add "arc" behind "verify"' })
  }
  const daneAt = pipeline.statedAt.get('dane')
  const { dane, validatingResolvers } = configuration.pipeline
  if (dane !== 'off' && validatingResolvers.length === 0 && daneAt !== undefined) {
    const message = '"dane" believes only a resolver that checks signatures, and none is named'
    const hint = 'name one that is reached safely: resolver "127.0.0.1" validating'
    found.push({ severity: 'error', code: 'incomplete', message, span: daneAt, hint })
  }
  for (const listener of closedReturnPorts(configuration)) {
    say('warning', listener.at, {
      code: 'incomplete',
      message: `only this host can connect here: \`interface ${listener.on} is\` names no network`,
      hint: 'write the network of those who may hand mail back: interface lo is "10.77.0.0/24"',
    })
  }
  for (const external of configuration.pipeline.externals) {
    for (const fault of faultsOfExternal(external, configuration)) say('warning', external.at, fault)
  }
  const { sessions, rates, bans, headerRules, contentRules, beforeAccept, strangersRelay } = configuration.pipeline
  const { mimeHeader, nestedHeader, body } = contentRules
  const ofContent = [...headerRules, ...mimeHeader, ...nestedHeader, ...body]
  for (const rule of [...sessions, ...rates, ...bans, ...ofContent, ...beforeAccept, ...strangersRelay]) {
    const fault = faultOfChoice(rule.for, configuration.listeners)
    if (fault !== undefined) say('error', rule.at, fault)
  }
  for (const rule of sessions) {
    const fault = uselessSetting(rule, configuration.listeners)
    if (fault !== undefined) say('warning', rule.at, fault)
  }
  for (const { at, fault } of restrictionFaults(configuration)) say('error', at, fault)
  for (const { at, fault } of [...findLoops(configuration), ...lintConfiguration(configuration)])
    say('warning', at, fault)
  return found
}

interface Fault {
  readonly code: DiagnosticCode
  readonly message: string
  readonly hint: string
}

function faultsOfAction(action: Action, configuration: Configuration): readonly Fault[] {
  if (action.kind !== 'relay') return []
  const faults: Fault[] = []
  if (action.srs && configuration.srs === undefined) {
    faults.push({ code: 'incomplete', message: 'srs needs a key', hint: 'add: srs key "a secret of yours"' })
  }
  const { pkis, cas, pipeline } = configuration
  const protocols = protocolFault(action.protocols, configuration)
  if (protocols !== undefined) faults.push(protocols)
  if (action.pki !== undefined && !pkis.has(action.pki)) {
    faults.push({
      code: 'unknown-name',
      message: `there is no pki "${action.pki}"`,
      hint: 'declare it with cert and key',
    })
  }
  if (action.ca !== undefined && !cas.has(action.ca)) {
    faults.push({
      code: 'unknown-name',
      message: `there is no ca "${action.ca}"`,
      hint: `ca ${action.ca} cert "/path"`,
    })
  }
  const hosts = action.host?.source.kind === 'inline' ? (action.host.source.list ?? []) : []
  const queues = hosts.map((host) => queueOfHost(host)).filter((name) => name !== undefined)
  for (const name of queues) {
    if (pipeline.queues.has(name)) continue
    const meant = closest(name, pipeline.queues.keys())
    const hint =
      meant === undefined ? `declare it in pipeline.conf: queue "${name}" tag SomeTag` : `did you mean "${meant}"?`
    faults.push({ code: 'unknown-name', message: `there is no queue "${name}"`, hint })
  }
  for (const name of queues) {
    if (pipeline.queues.get(name)?.tag !== '') continue
    const hint = 'use a plain `relay`, `maildir` or `lmtp` action: they run in this queue'
    faults.push({ code: 'value', message: `mail does not come back from the queue "${name}"`, hint })
  }
  if (queues.length > 0 && hosts.length > 1) {
    faults.push({
      code: 'conflict',
      message: 'a queue stands among other hosts',
      hint: 'name one queue and nothing else',
    })
  }
  return faults
}

function faultsOfExternal({ url }: ExternalFilter, { actions, listeners, pipeline }: Configuration): readonly Fault[] {
  const isRelayedTo = [...actions.values()].some(
    (action) =>
      action.kind === 'relay' &&
      action.host !== undefined &&
      (action.host.source.kind !== 'inline' ||
        (action.host.source.list ?? []).some((host) => externalOf(pipeline.externals, host)?.url === url)),
  )
  if (!isRelayedTo) {
    return [{ code: 'no-effect', message: `no action relays to ${url}`, hint: 'remove it, or correct the URL' }]
  }
  const back = returnListener(listeners, url)
  if (back === undefined) {
    const hint = 'it works when the filter hands its mail to another listener; a tag there keeps it from going round'
    return [{ code: 'incomplete', message: `no listener on loopback with a tag stands one port above ${url}`, hint }]
  }
  return []
}

/** What `interface` makes of loopback is open to this host and to a network, if one is written. */
function closedReturnPorts({ listeners, pipeline }: Configuration): readonly Listener[] {
  return listeners.filter(({ on }) => isLoopback(on) && pipeline.interfaces.get(on)?.includes('/') === false)
}

function protocolFault(protocols: string | undefined, { pipeline }: Configuration): Fault | undefined {
  if (tlsVersions(protocols, pipeline.tlsMinimum) !== undefined) return undefined
  const message = `protocols "${protocols ?? ''}" leaves nothing at or above \`tls minimum ${pipeline.tlsMinimum}\``
  return { code: 'conflict', message, hint: 'change `protocols` here, or `tls minimum` of pipeline.conf' }
}

/** Versions that are asked for here, and that nothing is spoken in. */
function keptOutFault(protocols: string | undefined, { pipeline }: Configuration): Fault | undefined {
  const keptOut = protocols === undefined ? [] : versionsKeptOut(protocols, pipeline.tlsMinimum)
  if (keptOut.length === 0) return undefined
  const message = `${keptOut.join(' and ')}: not spoken, since the oldest version is that of \`tls minimum ${pipeline.tlsMinimum}\``
  return { code: 'no-effect', message, hint: 'leave it out' }
}

function deliversBy(method: LocalAction['method']['kind'], { actions }: Configuration): boolean {
  return [...actions.values()].some((action) => action.kind === 'local' && action.method.kind === method)
}

/** A list written by hand says who there is, and the server that has the mailboxes is not asked. */
function acceptsWithoutMailbox({ actions, pipeline: { users } }: Configuration): boolean {
  if (users.kind === 'sources' && users.verifiesMailbox) return false
  const sources = users.kind === 'sources' ? users.sources : [users]
  const isList = sources.some(
    (one) => one.kind === 'table' && (one.table.source.kind === 'inline' || one.table.source.kind === 'file'),
  )
  return (
    isList &&
    [...actions.values()].some(
      (action) => action.kind === 'local' && action.method.kind === 'lmtp' && action.userbase === undefined,
    )
  )
}

function acceptsAnybody(action: Action): boolean {
  if (action.kind !== 'local' || action.userbase !== undefined || action.virtual !== undefined) return false
  return ['maildir', 'mbox', 'mda'].includes(action.method.kind)
}

/** From a position to the end of its statement on that line. */
function lineSpan(at: Position, lines: readonly string[]): Span {
  const sourceLine = (lines[at.line - 1] ?? '').replace(/\r$/, '')
  return { ...at, length: Math.max(1, sourceLine.trimEnd().length - at.column + 1), sourceLine }
}

function onceEach<Value>(make: (key: string) => Value): (key: string) => Value {
  const made = new Map<string, Value>()
  return (key) => {
    const value = made.get(key) ?? make(key)
    made.set(key, value)
    return value
  }
}
