import { parseMailbox } from '../mail/address.ts'
import { readCommand } from './command-setting.ts'
import { faultOfFormat } from './format.ts'
import type { Token } from './lexer.ts'
import type { Action, LocalAction, RelayAction, Table } from './model.ts'
import { requireFilters } from './modern-filter.ts'
import { Once } from './once.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseRelayUrl, RelayUrlError } from './relay-url.ts'
import { listOf, parseTables, parseTurns } from './table-grammar.ts'
import { readCiphers, readProtocols } from './tls-words.ts'
import { positionOf } from './token-reader.ts'
import { refuseUnsupported } from './unsupported.ts'

const methods = ['maildir', 'lmtp', 'mbox', 'mda', 'forward-only', 'expand-only', 'relay']
/** Methods that run nothing as a user of their own. */
const withoutUser = new Set(['mbox', 'forward-only', 'expand-only'])
const localOptions = ['alias', 'virtual', 'userbase', 'user', 'wrapper', 'ttl']
const relayOptions = [
  'host',
  'domain',
  'auth',
  'tls',
  'helo',
  'helo-src',
  'src',
  'mail-from',
  'backup',
  'pki',
  'ca',
  'protocols',
  'ciphers',
  'filter',
  'srs',
  'ttl',
]

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** `action NAME method options [ttl DURATION]`. */
export function parseAction(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  const name = reader.string('the name of the action')
  draft.names.declare('action', name)
  const method = reader.peek()
  if (method.kind !== 'keyword' || !methods.includes(method.text)) reader.unexpected('a delivery method', methods)
  const body = method.text === 'relay' ? parseRelay(draft) : parseLocal(draft)
  const ttlMs = parseTtl(draft)
  reader.endOfStatement()
  const action: Action = { ...body, name: name.text, at: positionOf(start), ...(ttlMs === undefined ? {} : { ttlMs }) }
  draft.actions.set(name.text, action)
}

/** Strictly last, and once. */
function parseTtl(draft: PolicyDraft): number | undefined {
  const { reader } = draft
  const ttlMs = reader.accept('ttl') ? reader.duration('ttl') : undefined
  if (reader.at('ttl')) reader.fail('duplicate', '"ttl" stands here already', reader.peek().span, 'keep one of the two')
  if (ttlMs !== undefined && !reader.atEnd()) {
    const { span, text } = reader.peek()
    reader.fail('syntax', '"ttl" is the last option of an action', span, `put "${text}" before "ttl"`)
  }
  return ttlMs
}

function parseLocal(draft: PolicyDraft): LocalAction {
  const { reader } = draft
  const method = reader.peek()
  const action: Mutable<LocalAction> = { kind: 'local', method: parseMethod(draft) }
  const once = new Once(reader)
  while (!reader.atEnd() && !reader.at('ttl')) {
    const option = knownOption(draft, localOptions)
    switch (option.text) {
      case 'alias':
      case 'virtual':
        once.check(option, 'alias')
        action[option.text] = parseTables(draft, 'map', `"${option.text}"`)
        break
      case 'userbase':
        once.check(option)
        action.userbase = parseTables(draft, 'map', '"userbase"')
        break
      case 'user':
        once.check(option)
        if (withoutUser.has(method.text))
          reader.fail('conflict', `"${method.text}" runs as no user: it takes no "user"`, option.span, 'remove `user`')
        action.user = reader.string('the name of a user').text
        break
      default: {
        once.check(option)
        const name = reader.string('the name of a wrapper')
        draft.names.require('wrapper', name)
        action.wrapper = { name: name.text, command: draft.wrappers.get(name.text) ?? '' }
      }
    }
  }
  return action
}

function parseMethod(draft: PolicyDraft): LocalAction['method'] {
  const { reader } = draft
  const word = reader.next()
  switch (word.text) {
    case 'maildir': {
      const path = reader.atString() ? reader.next() : undefined
      if (path !== undefined) checkFormat(draft, path)
      return { kind: 'maildir', path: path?.text ?? '~/Maildir', junk: reader.accept('junk') }
    }
    case 'lmtp': {
      const destination = reader.string('a socket or host[:port]')
      return { kind: 'lmtp', destination: destination.text, rcptTo: reader.accept('rcpt-to') }
    }
    case 'mda':
      return { kind: 'mda', command: readCommand(draft, 'mda') }
    case 'forward-only':
    case 'expand-only':
      return { kind: word.text }
    default:
      return { kind: 'mbox' }
  }
}

function checkFormat(draft: PolicyDraft, format: Token): void {
  const fault = faultOfFormat(format.text)
  if (fault !== undefined)
    draft.reader.report('value', fault, format.span, 'for example %{user.username} or %{dest.domain}')
}

function parseRelay(draft: PolicyDraft): RelayAction {
  const { reader } = draft
  reader.next()
  const action: Mutable<RelayAction> = { kind: 'relay', srs: false }
  const once = new Once(reader)
  while (!reader.atEnd() && !reader.at('ttl')) parseRelayOption(draft, action, once)
  return action
}

function parseRelayOption(draft: PolicyDraft, action: Mutable<RelayAction>, once: Once): void {
  const { reader } = draft
  const option = knownOption(draft, relayOptions)
  switch (option.text) {
    case 'host':
      once.check(option, 'destination')
      action.host = parseHosts(draft, 'list')
      return
    case 'domain':
      once.check(option, 'destination')
      action.domain = parseHosts(draft, 'map')
      return
    case 'auth':
      once.check(option)
      if (action.host === undefined && action.domain === undefined) {
        reader.fail(
          'conflict',
          'auth needs a host before it',
          option.span,
          'write `host smtps://label@host auth <table>`',
        )
      }
      action.auth = parseTables(draft, 'map', '"auth"')
      return
    case 'tls':
      once.check(option)
      action.tls = reader.accept('no-verify') ? 'no-verify' : 'verify'
      return
    case 'helo':
      once.check(option)
      action.helo = reader.string('a host name').text
      return
    case 'helo-src':
      once.check(option)
      action.heloSrc = parseTables(draft, 'map', '"helo-src"')
      return
    case 'src':
      once.check(option)
      action.src = parseTurns(draft, 'either', '"src"')
      return
    case 'mail-from':
      once.check(option)
      action.mailFrom = parseSender(draft)
      return
    case 'backup':
      once.check(option, 'destination')
      action.backup = reader.accept('mx') ? { mx: reader.string('the name of our MX').text } : {}
      return
    case 'pki':
      once.check(option)
      action.pki = reader.string('the name of a pki').text.toLowerCase()
      return
    case 'ca':
      once.check(option)
      action.ca = reader.string('the name of a ca').text.toLowerCase()
      return
    case 'protocols':
      once.check(option)
      action.protocols = readProtocols(reader)
      return
    case 'ciphers':
      once.check(option)
      action.ciphers = readCiphers(reader)
      return
    case 'srs':
      once.check(option)
      if (draft.srsKey === undefined) {
        const hint = 'move `srs key` above the actions'
        reader.tolerate('portability', 'no `srs key` stands above: OpenSMTPD refuses this', option.span, hint)
      }
      action.srs = true
      return
    default:
      once.check(option)
      requireFilters(draft)
      refuseUnsupported(reader, 'filter on a relay', option.span)
  }
}

/** Upstream finds out at delivery, and only there. */
function parseSender({ reader }: PolicyDraft): string {
  const address = reader.string('an address')
  if (parseMailbox(address.text) === undefined) {
    reader.fail('value', `"${address.text}" is not an address`, address.span, 'mail-from "user@example.org"')
  }
  return address.text
}

/** A wrong URL fails only at delivery upstream: it is told now. */
function parseHosts(draft: PolicyDraft, kind: 'list' | 'map'): Table {
  const { reader } = draft
  const { span } = reader.peek()
  const table = kind === 'list' ? parseTurns(draft, kind, '"host"') : parseTables(draft, kind, '"domain"')
  for (const url of urlsOf(table)) {
    try {
      parseRelayUrl(url)
    } catch (error) {
      if (!(error instanceof RelayUrlError)) throw error
      const hint = 'smtp://host, smtp+tls://label@host:587, smtps://host, lmtp://host:24 or queue://name'
      reader.warn('value', `"${url}" is not a relay URL, delivery will fail: ${error.message}`, span, hint)
    }
  }
  return table
}

function urlsOf(table: Table): readonly string[] {
  if (table.source.kind === 'inline' && table.source.map !== undefined) return [...table.source.map.values()]
  return listOf(table)
}

function knownOption(draft: PolicyDraft, known: readonly string[]): Token {
  const token = draft.reader.peek()
  if (token.kind === 'keyword' && known.includes(token.text)) return draft.reader.next()
  return draft.reader.unexpected('an option of the action', known)
}
