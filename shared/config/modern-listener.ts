import { closest } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { Listener, SocketListener, Table } from './model.ts'
import { requireFilters } from './modern-filter.ts'
import { Once } from './once.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { portOfService } from './quantity.ts'
import { atTables, parseTables } from './table-grammar.ts'
import { readCiphers, readProtocols } from './tls-words.ts'
import { positionOf, type TokenReader } from './token-reader.ts'
import { refuseUnsupported } from './unsupported.ts'

const options = [
  'inet4',
  'inet6',
  'port',
  'tls',
  'tls-require',
  'smtps',
  'pki',
  'ca',
  'auth',
  'auth-optional',
  'tag',
  'hostname',
  'hostnames',
  'senders',
  'mask-src',
  'received-auth',
  'no-dsn',
  'proxy-v2',
  'protocols',
  'ciphers',
  'filter',
]
const socketOptions = ['filter', 'mask-src', 'no-dsn', 'tag']
const maximumPkis = 32

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** `listen on socket ...` or `listen on INTERFACE ...`. */
export function parseListen(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  reader.expect('on', 'behind "listen"')
  if (reader.at('socket')) parseSocket(draft)
  else parseAddress(draft, start)
}

function parseSocket(draft: PolicyDraft): void {
  const { reader } = draft
  const word = reader.next()
  if (draft.socket !== undefined) reader.fail('duplicate', '"listen on socket" is stated already', word.span)
  const once = new Once(reader)
  const socket: Mutable<SocketListener> = { maskSource: false, noDsn: false }
  while (!reader.atEnd()) {
    const option = optionOf(draft, socketOptions)
    once.check(option)
    if (option.text === 'tag') socket.tag = parseTag(reader)
    else if (option.text === 'mask-src') socket.maskSource = true
    else if (option.text === 'no-dsn') socket.noDsn = true
    else refuseFilter(draft, option)
  }
  draft.socket = socket
  reader.endOfStatement()
}

function parseAddress(draft: PolicyDraft, start: Token): void {
  const { reader } = draft
  const on = reader.string('an interface, an address or a host name')
  const once = new Once(reader)
  const listener: Mutable<Listener> = {
    on: on.text,
    port: 0,
    tls: 'none',
    verifyClient: false,
    pkis: [],
    auth: { kind: 'none' },
    maskSource: false,
    receivedAuth: false,
    noDsn: false,
    proxy: false,
    at: positionOf(start),
  }
  while (!reader.atEnd()) parseOption(draft, listener, once)
  const secure = draft.grammar === 'old' ? once.spanOf('secure') : undefined
  if (secure !== undefined && listener.port !== 0) {
    const hint = 'leave the port out, or write `tls` or `smtps`'
    reader.report('conflict', '"secure" is STARTTLS on port 25 and TLS on port 465: it has no port', secure, hint)
  }
  if (listener.port === 0) listener.port = listener.tls === 'implicit' ? 465 : 25
  if (draft.grammar === 'old') choosePki(draft, listener)
  checkListener(draft, listener, start, once)
  draft.listeners.push(listener)
  if (secure !== undefined) draft.listeners.push({ ...listener, port: 465, tls: 'implicit' })
  reader.endOfStatement()
}

function parseOption(draft: PolicyDraft, listener: Mutable<Listener>, once: Once): void {
  const { reader } = draft
  const option = optionOf(draft, options)
  switch (option.text) {
    case 'inet4':
    case 'inet6':
      once.check(option, 'family')
      listener.family = option.text === 'inet4' ? 4 : 6
      return
    case 'port':
      once.check(option)
      listener.port = parsePort(reader)
      return
    case 'tls':
    case 'tls-require':
    case 'smtps':
    case 'secure':
      once.check(option, 'TLS mode')
      listener.tls = tlsModes[option.text]
      if (option.text !== 'tls') listener.verifyClient = reader.accept('verify')
      if (option.text === 'secure') once.note(option)
      return
    case 'pki':
      listener.pkis = [...listener.pkis, parsePkiName(draft, listener.pkis)]
      once.note(option)
      return
    case 'ca': {
      once.check(option)
      const written = reader.string('the name of a ca')
      const name = { ...written, text: written.text.toLowerCase() }
      if (draft.names.require('ca', name)) listener.ca = name.text
      return
    }
    case 'auth':
    case 'auth-optional': {
      once.check(option, 'auth')
      const kind = option.text === 'auth' ? 'required' : 'optional'
      listener.auth = atTables(reader) ? { kind, table: parseCredentials(draft, option) } : { kind }
      return
    }
    case 'tag':
      once.check(option)
      listener.tag = parseTag(reader)
      return
    case 'hostname':
      once.check(option)
      listener.hostname = reader.string('a host name').text
      return
    case 'hostnames':
      once.check(option)
      listener.hostnames = parseTables(draft, 'map', '"hostnames"')
      return
    case 'senders':
      once.check(option)
      listener.senders = {
        table: parseTables(draft, 'map', '"senders"'),
        masquerade: reader.accept('masquerade'),
      }
      return
    case 'mask-src':
      once.check(option)
      listener.maskSource = true
      return
    case 'received-auth':
      once.check(option)
      listener.receivedAuth = true
      return
    case 'no-dsn':
      once.check(option)
      listener.noDsn = true
      return
    case 'proxy-v2':
      once.check(option)
      listener.proxy = true
      return
    case 'protocols':
      once.check(option)
      listener.protocols = readProtocols(reader)
      return
    case 'ciphers':
      once.check(option)
      listener.ciphers = readCiphers(reader)
      return
    default:
      once.check(option)
      listener.filters = requireFilters(draft)
  }
}

const tlsModes = { tls: 'offered', 'tls-require': 'required', smtps: 'implicit', secure: 'offered' } as const

/** The old grammar takes the pki that is named like the listener's host; the only one there is serves as well. */
function choosePki(draft: PolicyDraft, listener: Mutable<Listener>): void {
  if (listener.tls === 'none' || listener.pkis.length > 0) return
  const named = listener.hostname?.toLowerCase()
  const [only, ...others] = draft.pkis.keys()
  if (named !== undefined && draft.pkis.has(named)) listener.pkis = [named]
  else if (only !== undefined && others.length === 0) listener.pkis = [only]
}

function checkListener(draft: PolicyDraft, listener: Listener, start: Token, once: Once): void {
  const { reader } = draft
  const { tls } = listener
  if (tls === 'none' && listener.auth.kind !== 'none') {
    const hint = 'add `tls-require` or `smtps` and a `pki`: passwords must not cross the network in the clear'
    reader.report('conflict', 'auth needs TLS on the same listener', once.spanOf('auth') ?? start.span, hint)
  }
  if (tls === 'none' && listener.pkis.length > 0) {
    const hint = 'add `tls`, `tls-require` or `smtps`'
    reader.report('conflict', 'a pki needs a TLS mode on the same listener', once.spanOf('pki') ?? start.span, hint)
  }
  if (tls !== 'none' && listener.pkis.length === 0 && once.spanOf('pki') === undefined) {
    const hint = 'declare `pki NAME cert "..." key "..."` above and add `pki NAME` here'
    reader.report('incomplete', 'TLS needs a pki on the same listener', once.spanOf('TLS mode') ?? start.span, hint)
  }
  if (tls === 'required' && listener.port === 465) {
    const hint = 'write `smtps` instead of `tls-require`: then nobody waits'
    const message =
      'port 465 is for TLS from the start: who begins with it is served, and who waits 1s (`client-hello wait` of pipeline.conf) gets STARTTLS'
    reader.warn('starttls-on-smtps-port', message, once.spanOf('TLS mode') ?? start.span, hint)
  }
}

/** A list has no passwords; upstream takes it, and nobody can log in. */
function parseCredentials(draft: PolicyDraft, option: Token): Table {
  const table = parseTables(draft, 'either', `"${option.text}"`)
  if (draft.tableKinds.get(table) === 'list') {
    const message = 'this table is a list and has no passwords: nobody can log in here'
    draft.reader.warn('table-type', message, option.span, 'make it a map: user = hash')
  }
  return table
}

function parsePort(reader: TokenReader): number {
  const token = reader.peek()
  if (token.kind === 'number') {
    const { value, span } = reader.number('a port')
    if (value < 1 || value > 65_535) reader.fail('value', `${value} is not a port: 1 to 65535`, span)
    return value
  }
  if (reader.accept('smtp')) return 25
  if (reader.accept('smtps')) return 465
  const name = reader.string('a port')
  const port = portOfService(name.text)
  if (port !== undefined) return port
  const meant = closest(name.text, ['smtp', 'smtps', 'submission'])
  const names = meant === undefined ? 'smtp, smtps, submission or a number' : `did you mean "${meant}"?`
  const hint = /^\d+$/.test(name.text) ? 'write the number without quotes' : names
  return reader.fail('value', `there is no service "${name.text}"`, name.span, hint)
}

function parsePkiName(draft: PolicyDraft, known: readonly string[]): string {
  const { reader } = draft
  const name = reader.string('the name of a pki')
  if (known.length >= maximumPkis) reader.fail('value', `a listener has at most ${maximumPkis} pkis`, name.span)
  draft.names.require('pki', { ...name, text: name.text.toLowerCase() })
  return name.text.toLowerCase()
}

function parseTag(reader: TokenReader): string {
  const name = reader.string('a tag')
  if (!/^[\x21-\x7e]{1,32}$/.test(name.text)) {
    reader.fail('value', 'a tag has 1 to 32 visible characters', name.span)
  }
  return name.text
}

function refuseFilter(draft: PolicyDraft, option: Token): void {
  requireFilters(draft)
  refuseUnsupported(draft.reader, 'filter on the socket', option.span)
}

function optionOf(draft: PolicyDraft, known: readonly string[]): Token {
  const { reader, grammar } = draft
  if (grammar === 'old') return oldOption(draft, known)
  const token = reader.peek()
  if (token.kind === 'keyword' && known.includes(token.text)) return reader.next()
  const renamed = oldOptions.get(token.text)
  if (renamed !== undefined)
    reader.fail('unknown-keyword', `"${token.text}" is of the old grammar`, token.span, renamed)
  return reader.unexpected('an option of the listener', known)
}

/** The option under the name it has now. */
function oldOption({ reader }: PolicyDraft, known: readonly string[]): Token {
  const token = reader.peek()
  const understood = known.filter((option) => !modernOptions.has(option)).map((option) => spelling[option] ?? option)
  if (reader.accept('secure')) {
    reader.tolerate(
      'portability',
      '"secure" is of 5.3 to 5.9 only',
      token.span,
      'write two listeners: `tls` and `smtps`',
    )
    return { ...token, text: 'secure' }
  }
  const written = token.kind === 'keyword' || token.kind === 'word' ? token.text : ''
  if (!understood.includes(written)) return reader.unexpected('an option of the listener', understood)
  if (written === 'filter') {
    const hint = 'remove it; the filters of 5.7 were withdrawn, those of 6.6 and later need the modern grammar'
    reader.fail('unsupported', 'the filters of the old grammar are not supported', token.span, hint)
  }
  reader.next()
  return { ...token, text: written === 'mask-source' ? 'mask-src' : written }
}

const spelling: Readonly<Record<string, string>> = { 'mask-src': 'mask-source' }
const modernOptions = new Set(['proxy-v2', 'protocols', 'ciphers'])

const oldOptions: ReadonlyMap<string, string> = new Map([
  ['mask-source', 'write `mask-src`'],
  ['secure', 'write `tls` on one listener and `smtps` on another'],
])
