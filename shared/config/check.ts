import { deliveryFaults } from './delivery-faults.ts'
import { closest, type Diagnostic, type DiagnosticCode, type Span } from './diagnostic.ts'
import { lintConfiguration } from './lints.ts'
import { findLoops } from './loops.ts'
import type { Action, Configuration, Position } from './model.ts'
import type { PipelineDraft } from './pipeline-grammar.ts'
import { queueOfHost } from './relay-url.ts'
import { tlsVersions } from './tls-words.ts'

/** What only both files together show. `textOf` gives the text of a file that was read. */
export function checkConfiguration(
  configuration: Configuration,
  pipeline: PipelineDraft,
  textOf: (file: string) => string,
): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  const say = (severity: Diagnostic['severity'], at: Position, fault: Fault): void => {
    found.push({ severity, ...fault, span: lineSpan(at, textOf(at.file)) })
  }
  for (const action of configuration.actions.values()) {
    for (const fault of [...faultsOfAction(action, configuration), ...deliveryFaults(action, configuration)])
      say('error', action.at, fault)
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
    if (listener.auth.kind === 'none' || listener.auth.table !== undefined) continue
    if (configuration.pipeline.login !== undefined) continue
    say('warning', listener.at, {
      code: 'incomplete',
      message: 'auth has no table of users: nobody can log in here',
      hint: 'write `auth <table>` here, or `login from <table>` in pipeline.conf',
    })
  }
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

function protocolFault(protocols: string | undefined, { pipeline }: Configuration): Fault | undefined {
  if (tlsVersions(protocols, pipeline.tlsMinimum) !== undefined) return undefined
  const message = `protocols "${protocols ?? ''}" leaves nothing at or above \`tls minimum ${pipeline.tlsMinimum}\``
  return { code: 'conflict', message, hint: 'change `protocols` here, or `tls minimum` of pipeline.conf' }
}

function acceptsAnybody(action: Action): boolean {
  if (action.kind !== 'local' || action.userbase !== undefined || action.virtual !== undefined) return false
  return ['maildir', 'lmtp', 'mbox'].includes(action.method.kind)
}

/** From a position to the end of its statement on that line. */
function lineSpan(at: Position, text: string): Span {
  const sourceLine = (text.split('\n')[at.line - 1] ?? '').replace(/\r$/, '')
  return { ...at, length: Math.max(1, sourceLine.trimEnd().length - at.column + 1), sourceLine }
}
