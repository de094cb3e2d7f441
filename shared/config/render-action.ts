import { quoteString } from './lexer.ts'
import type { Action, LocalAction, RelayAction } from './model.ts'
import { defaultPipeline } from './pipeline-grammar.ts'
import { parseRelayUrl } from './relay-url.ts'
import { renderTable } from './render-table.ts'
import { queueOfRelay } from './return-tags.ts'

export interface RenderedAction {
  /** What stands behind `action NAME`. */
  readonly text: string
  /** Comment lines: what the modern grammar cannot say. */
  readonly remarks: readonly string[]
}

/** The action in the modern grammar. */
export function renderAction(action: Action): RenderedAction {
  const ttl = action.ttlMs === undefined ? [] : [`ttl ${renderDuration(action.ttlMs)}`]
  if (action.kind === 'local') return { text: [...localWords(action), ...ttl].join(' '), remarks: [] }
  return { text: [...relayWords(action), ...ttl].join(' '), remarks: remarksOn(action) }
}

function remarksOn({ mailFrom, hostsInOrder }: RelayAction): readonly string[] {
  const half = mailFrom !== undefined && !isWhole(mailFrom)
  return [
    ...(half
      ? [`# the old rule also said: as ${quoteString(mailFrom)}; only a whole address can be said now (mail-from)`]
      : []),
    ...(hostsInOrder === true
      ? [
          '# the old rule said secure://, TLS from the start and else STARTTLS; now the hosts are used in turn: keep one',
        ]
      : []),
  ]
}

/** What one would call it: after the queue it leads to, or after what it does. */
export function nameForAction(action: Action): string {
  if (action.kind === 'relay') {
    const [host] = action.host?.source.kind === 'inline' ? (action.host.source.list ?? []) : []
    if (host === undefined) return 'outbound'
    const url = parseRelayUrl(host)
    const queue = queueOfRelay(defaultPipeline().queues, host)
    return queue?.name ?? (url.kind === 'queue' ? url.name : `relay-${url.host.replaceAll(/[^A-Za-z0-9.-]/g, '')}`)
  }
  return action.method.kind === 'lmtp' ? 'deliver' : action.method.kind
}

function localWords(action: LocalAction): readonly string[] {
  const { method, alias, virtual, userbase, user } = action
  return [
    methodWords(method),
    ...(alias === undefined ? [] : [`alias ${renderTable(alias)}`]),
    ...(virtual === undefined ? [] : [`virtual ${renderTable(virtual)}`]),
    ...(userbase === undefined ? [] : [`userbase ${renderTable(userbase)}`]),
    ...(user === undefined ? [] : [`user ${quoteString(user)}`]),
  ]
}

function methodWords(method: LocalAction['method']): string {
  switch (method.kind) {
    case 'maildir':
      return ['maildir', quoteString(method.path), ...(method.junk ? ['junk'] : [])].join(' ')
    case 'lmtp':
      return ['lmtp', quoteString(method.destination), ...(method.rcptTo ? ['rcpt-to'] : [])].join(' ')
    case 'mda':
      return `mda ${quoteString(method.command)}`
    case 'mbox':
    case 'forward-only':
    case 'expand-only':
      return method.kind
  }
}

function relayWords(action: RelayAction): readonly string[] {
  const { host, auth, tls, backup, src, helo, heloSrc, mailFrom, pki, ca } = action
  return [
    'relay',
    ...(host === undefined ? [] : [`host ${renderTable(host)}`]),
    ...(auth === undefined ? [] : [`auth ${renderTable(auth)}`]),
    ...(tls === undefined ? [] : [tls === 'verify' ? 'tls' : 'tls no-verify']),
    ...(backup === undefined ? [] : [backup.mx === undefined ? 'backup' : `backup mx ${quoteString(backup.mx)}`]),
    ...(src === undefined ? [] : [`src ${renderTable(src)}`]),
    ...(helo === undefined ? [] : [`helo ${quoteString(helo)}`]),
    ...(heloSrc === undefined ? [] : [`helo-src ${renderTable(heloSrc)}`]),
    ...(mailFrom === undefined || !isWhole(mailFrom) ? [] : [`mail-from ${quoteString(mailFrom)}`]),
    ...(pki === undefined ? [] : [`pki ${quoteString(pki)}`]),
    ...(ca === undefined ? [] : [`ca ${quoteString(ca)}`]),
  ]
}

function isWhole(address: string): boolean {
  return /^[^@]+@[^@]+$/.test(address)
}

function renderDuration(ms: number): string {
  const seconds = ms / 1000
  const [unit, length] = units.find((one) => seconds % one[1] === 0) ?? ['s', 1]
  return `${seconds / length}${unit}`
}

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
]
