import { parseMailbox } from '../mail/address.ts'
import { readCommand } from './command-setting.ts'
import { faultOfFormat } from './format.ts'
import type { Token } from './lexer.ts'
import type { LocalAction, RelayAction, Table } from './model.ts'
import { parseOldRelayUrl, type OldRelayUrl } from './old-relay-url.ts'
import { Once } from './once.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { RelayUrlError } from './relay-url.ts'
import { parseTables, parseTurns } from './table-grammar.ts'
import { positionOf } from './token-reader.ts'

const methods = ['mbox', 'maildir', 'lmtp', 'mda']
const relayOptions = ['as', 'source', 'hostname', 'hostnames', 'pki', 'ca']
const mxOptions = [...relayOptions, 'backup', 'tls']
const hostOptions = [...relayOptions, 'auth', 'verify']

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** `deliver to mbox | maildir [PATH] | lmtp DESTINATION [rcpt-to] [as USER] | mda COMMAND [as USER]`. */
export function parseOldDelivery(draft: PolicyDraft): Pick<LocalAction, 'kind' | 'method' | 'user'> {
  const { reader } = draft
  reader.next()
  reader.expect('to', 'behind "deliver"')
  if (reader.accept('mbox')) return { kind: 'local', method: { kind: 'mbox' } }
  if (reader.accept('maildir')) {
    const path = reader.atString() ? reader.next() : undefined
    if (path !== undefined) checkFormat(draft, path)
    return { kind: 'local', method: { kind: 'maildir', path: path?.text ?? '~/Maildir', junk: false } }
  }
  if (reader.accept('lmtp')) {
    const destination = reader.string('a socket or host[:port]').text
    const rcptTo = reader.accept('rcpt-to')
    return { kind: 'local', method: { kind: 'lmtp', destination, rcptTo }, ...parseUser(draft) }
  }
  if (!reader.accept('mda')) reader.unexpected('a delivery method', methods)
  return { kind: 'local', method: { kind: 'mda', command: readCommand(draft, 'mda') }, ...parseUser(draft) }
}

/** `relay options` by MX, or `relay via URL options`. */
export function parseOldRelay(draft: PolicyDraft): RelayAction {
  const { reader } = draft
  reader.next()
  const action: Mutable<RelayAction> = { kind: 'relay', srs: false }
  if (!reader.accept('via')) {
    parseOptions(draft, action, mxOptions)
    return action
  }
  const written = reader.string('a relay URL')
  const url = parseUrl(draft, written)
  action.host = inlineList(draft, written, url.hosts)
  if (url.hosts.length > 1) action.hostsInOrder = true
  const once = parseOptions(draft, action, hostOptions)
  const verify = once.spanOf('verify')
  if (verify !== undefined && !url.encrypted) {
    reader.fail('conflict', 'there is no certificate to verify without TLS', verify, 'write tls:// or smtps://')
  }
  if (url.auth && action.auth === undefined) {
    const hint = 'add `auth <table>` behind the URL'
    reader.fail('incomplete', 'the URL asks for a password, and no table has it', written.span, hint)
  }
  if (!url.auth && action.auth !== undefined) {
    const hint = 'write tls+auth://label@host'
    reader.warn('value', 'auth has no effect: the URL has no +auth and no label', written.span, hint)
  }
  if (url.encrypted) action.tls = verify === undefined ? 'no-verify' : 'verify'
  return action
}

function parseUrl({ reader }: PolicyDraft, written: Token): OldRelayUrl {
  try {
    return parseOldRelayUrl(written.text)
  } catch (error) {
    if (!(error instanceof RelayUrlError)) throw error
    const hint = 'smtp://host, tls://host, smtps+auth://label@host or lmtp://host:port'
    return reader.fail('value', `"${written.text}" is not a relay URL: ${error.message}`, written.span, hint)
  }
}

function inlineList(draft: PolicyDraft, written: Token, list: readonly string[]): Table {
  const name = `<inline ${draft.inlineTables}>`
  draft.inlineTables += 1
  return { name, source: { kind: 'inline', list }, at: positionOf(written) }
}

function parseOptions(draft: PolicyDraft, action: Mutable<RelayAction>, known: readonly string[]): Once {
  const { reader } = draft
  const once = new Once(reader)
  while (!reader.atEnd() && !reader.at('expire') && !reader.at('forward-only')) {
    const option = reader.peek()
    if (option.kind !== 'keyword' || !known.includes(option.text)) reader.unexpected('an option of the relay', known)
    reader.next()
    once.check(option, option.text.startsWith('hostname') ? 'hostname' : option.text)
    parseOption(draft, action, option)
  }
  return once
}

function parseOption(draft: PolicyDraft, action: Mutable<RelayAction>, option: Token): void {
  const { reader } = draft
  switch (option.text) {
    case 'as':
      action.mailFrom = parseSender(draft)
      return
    case 'source':
      action.src = parseTurns(draft, 'list', '"source"')
      return
    case 'hostname':
      action.helo = reader.string('a host name').text
      return
    case 'hostnames':
      action.heloSrc = parseTables(draft, 'map', '"hostnames"')
      return
    case 'pki':
      action.pki = reader.string('the name of a pki').text.toLowerCase()
      return
    case 'ca':
      action.ca = reader.string('the name of a ca').text.toLowerCase()
      return
    case 'backup':
      action.backup = reader.atString() ? { mx: reader.next().text } : {}
      return
    case 'tls':
      action.tls = reader.accept('verify') ? 'verify' : 'no-verify'
      return
    case 'auth':
      action.auth = parseTables(draft, 'map', '"auth"')
      return
    default:
  }
}

/** A whole address takes the sender's place; `user` or `@domain` that half of it. */
function parseSender(draft: PolicyDraft): string {
  const { reader } = draft
  const address = reader.string('an address')
  const whole = address.text.startsWith('@')
    ? `user${address.text}`
    : address.text.includes('@')
      ? address.text
      : `${address.text}@example.org`
  if (parseMailbox(whole) === undefined) {
    const hint = 'as "user@example.org", as "@example.org" or as user'
    reader.fail('value', `"${address.text}" is neither an address nor half of one`, address.span, hint)
  }
  return address.text
}

function parseUser(draft: PolicyDraft): Pick<LocalAction, 'user'> {
  return draft.reader.accept('as') ? { user: draft.reader.string('the name of a user').text } : {}
}

function checkFormat(draft: PolicyDraft, format: Token): void {
  const fault = faultOfFormat(format.text)
  if (fault !== undefined) draft.reader.report('value', fault, format.span, 'for example %{user.username}')
}
