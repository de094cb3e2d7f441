import { closest, type Span } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { DkimKey, Listener, PipelineSettings, QueueSettings, Table } from './model.ts'
import { atMacro, parseInclude, parseMacro } from './statements.ts'
import { resolvePath } from './path.ts'
import type { NamedFile, PolicyDraft } from './policy-draft.ts'
import { parseSize } from './quantity.ts'
import { parseTable, parseTables } from './table-grammar.ts'
import { positionOf, StatementFault, type TokenReader } from './token-reader.ts'

/** Settings as pipeline.conf is read, its hostname, and the files it names. */
export interface PipelineDraft {
  readonly policy: PolicyDraft
  readonly reader: TokenReader
  readonly files: NamedFile[]
  hostname: string | undefined
  /** Statements that were there, to refuse a second one and to tell a default from a wish. */
  readonly stated: Set<string>
  settings: PipelineSettings
}

const minuteMs = 60_000
const onlyOnce = new Set([
  'redis',
  'spool',
  'dashboard',
  'metrics',
  'log',
  'hostname',
  'auth-results',
  'users',
  'login',
  'relay',
])

/** An empty pipeline.conf. */
export function defaultPipeline(): PipelineSettings {
  return {
    dashboard: { host: '127.0.0.1', port: 8080 },
    logLevel: 'info',
    queues: new Map(builtinQueues.map((queue) => [queue.name, queue])),
    dkim: [],
    authResults: ['spf', 'dkim', 'dmarc', 'arc'],
    spam: { junk: 5, header: 'X-Spam' },
    users: { kind: 'any' },
    resolvers: [],
    interfaces: new Map(),
    sockets: new Map(),
    tlsMinimum: 'TLSv1.2',
    relayPort: 25,
  }
}

const builtinQueues: readonly QueueSettings[] = [
  queueOf('filter', { tag: 'Filtered', answers: 'smtp://localhost:10024', concurrency: 4, timeoutMs: minuteMs }),
  queueOf('sign', { tag: 'Signed', answers: 'smtp://localhost:10026', concurrency: 4, timeoutMs: minuteMs }),
  queueOf('deliver', { concurrency: 20, timeoutMs: 5 * minuteMs }),
  queueOf('relay', { concurrency: 50, timeoutMs: 15 * minuteMs }),
]

const statements: Readonly<Record<string, (draft: PipelineDraft) => void>> = {
  table: (draft) => parseTable(draft.policy),
  include: (draft) => parseInclude(draft.policy),
  redis: parseRedis,
  spool: parseSpool,
  dashboard: parseDashboard,
  metrics: parseMetrics,
  log: parseLog,
  hostname: parseHostname,
  queue: parseQueue,
  spam: parseSpam,
  dkim: parseDkim,
  'auth-results': parseAuthResults,
  users: parseUsers,
  login: parseLogin,
  interface: parseInterface,
  socket: parseSocket,
  resolver: parseResolver,
  tls: parseTls,
  relay: parseRelay,
}

/** Statements of section 13 that this version does not carry out, and what to do instead. */
const later: ReadonlyMap<string, string> = new Map([
  ['external', 'remove it: the queue itself answers that address'],
  ['virus', 'remove it'],
  ['quarantine', 'remove it; held mail stays until somebody releases it'],
  ['filter', 'remove it: no filters run in the session'],
  ['mta-sts', 'remove it'],
  ['trusted', 'remove it'],
  ['mda', 'remove it: commands are never run'],
  ['forward', 'remove it: .forward files are never read'],
])

/** pipeline.conf (section 13) behind the tables and macros of smtpd.conf. Faults go to the lexer's diagnostics. */
export function parsePipeline(reader: TokenReader, policy: PolicyDraft): PipelineDraft {
  const draft: PipelineDraft = {
    policy: { ...policy, reader, names: policy.names.seenBy(reader) },
    reader,
    files: [],
    hostname: undefined,
    stated: new Set(),
    settings: defaultPipeline(),
  }
  while (reader.peek().kind !== 'end') {
    if (reader.peek().kind === 'newline') reader.next()
    else parseStatement(draft)
  }
  return draft
}

function parseStatement(draft: PipelineDraft): void {
  const { reader } = draft
  try {
    if (atMacro(reader)) return parseMacro(reader)
    const first = reader.peek()
    const known = first.kind === 'word' || first.kind === 'keyword'
    const parse = known && Object.hasOwn(statements, first.text) ? statements[first.text] : undefined
    if (parse === undefined) return unknownStatement(draft, first)
    if (onlyOnce.has(first.text) && draft.stated.has(first.text)) {
      reader.fail('duplicate', `"${first.text}" is stated already`, first.span, 'keep one of the two')
    }
    draft.stated.add(first.text)
    parse(draft)
  } catch (error) {
    if (!(error instanceof StatementFault)) throw error
    reader.recover()
  }
}

function unknownStatement({ reader }: PipelineDraft, first: Token): never {
  const instead = later.get(first.text)
  if (instead !== undefined) {
    reader.fail('unsupported', `"${first.text}" is not supported by this version`, first.span, instead)
  }
  const meant = closest(first.text, Object.keys(statements))
  const hint = meant === undefined ? `one of: ${Object.keys(statements).join(', ')}` : `did you mean "${meant}"?`
  return reader.fail('unknown-keyword', `there is no statement "${first.text}" in pipeline.conf`, first.span, hint)
}

/** `redis "redis://..." [password file PATH] [prefix NAME]`. */
function parseRedis(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const url = reader.string('the URL of Redis')
  if (!/^(?:rediss?|unix):\/\//.test(url.text) && !url.text.startsWith('/')) {
    reader.fail(
      'value',
      `"${url.text}" is not a URL of Redis`,
      url.span,
      '"redis://127.0.0.1:6379/0" or the path of a socket',
    )
  }
  if (/^rediss?:\/\/[^/@]*:[^/@]+@/.test(url.text)) {
    reader.fail('value', 'a password must not stand in this file', url.span, 'write `password file "/path"`')
  }
  let redis: NonNullable<PipelineSettings['redis']> = { url: url.text, prefix: 'sluice' }
  while (!reader.atEnd()) {
    if (reader.accept('password')) {
      reader.expect('file', 'behind "password"')
      redis = { ...redis, passwordFile: namedFile(draft, 'the password of Redis') }
    } else if (reader.accept('prefix')) redis = { ...redis, prefix: reader.string('a prefix').text }
    else reader.unexpected('password or prefix', ['password', 'prefix'])
  }
  finish(draft, { redis })
}

/** `spool PATH [quota SIZE]`. */
function parseSpool(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const path = reader.string('the folder of the spool')
  let spool: NonNullable<PipelineSettings['spool']> = { path: resolvePath(path.text, path.span.file) }
  while (!reader.atEnd()) {
    if (reader.accept('quota')) spool = { ...spool, quotaBytes: sizeOf(reader) }
    else if (reader.at('compression')) refuse(reader, 'compression of the spool', 'compress its file system')
    else reader.unexpected('quota', ['quota'])
  }
  finish(draft, { spool })
}

/** `dashboard listen "host:port"`. */
function parseDashboard(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const dashboard = listenOf(reader)
  if (reader.at('auth') || reader.at('read-only')) {
    refuse(
      reader,
      `${reader.peek().text} of the dashboard`,
      'let it listen on 127.0.0.1, behind a proxy that asks for a password',
    )
  }
  finish(draft, { dashboard })
}

/** `metrics listen "host:port"`. */
function parseMetrics(draft: PipelineDraft): void {
  draft.reader.next()
  finish(draft, { metrics: listenOf(draft.reader) })
}

/** `log level LEVEL [format json]`. */
function parseLog(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('level', 'behind "log"')
  const logLevel = choiceOf(reader, ['trace', 'debug', 'info', 'warn', 'error'] as const, 'a level')
  if (reader.accept('format')) choiceOf(reader, ['json'] as const, 'the format')
  finish(draft, { logLevel })
}

function parseHostname(draft: PipelineDraft): void {
  draft.reader.next()
  draft.hostname = draft.reader.string('the name of this host').text
  finish(draft, {})
}

/** `queue NAME [answers URL] [tag TAG | tag from LISTENER] [concurrency N] [timeout D] [on-failure defer|proceed]`. */
function parseQueue(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const name = reader.string('the name of the queue')
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name.text)) {
    reader.fail('value', 'a queue is named by letters, digits, "_" and "-"', name.span)
  }
  let queue = draft.settings.queues.get(name.text) ?? queueOf(name.text, {})
  while (!reader.atEnd()) {
    draft.stated.add(`queue ${name.text} ${reader.peek().text}`)
    queue = { ...queue, ...queueOption(draft) }
  }
  if (queue.tag === '' && !builtinQueues.some((one) => one.name === queue.name)) {
    const hint = `queue "${name.text}" tag SomeTag: rules test it with \`match tag SomeTag\``
    reader.fail('incomplete', `the queue "${name.text}" needs the tag its mail comes back with`, name.span, hint)
  }
  finish(draft, { queues: new Map([...draft.settings.queues, [queue.name, queue]]) })
}

function queueOption(draft: PipelineDraft): Partial<QueueSettings> {
  const { reader } = draft
  if (reader.accept('answers')) return { answers: reader.string('a relay URL').text }
  if (reader.accept('tag')) return { tag: reader.accept('from') ? listenerTag(draft) : tagOf(reader) }
  if (reader.accept('concurrency')) return { concurrency: positive(reader) }
  if (reader.accept('timeout')) return { timeoutMs: reader.duration('timeout') }
  if (reader.accept('on-failure')) return { onFailure: choiceOf(reader, ['defer', 'proceed'] as const, 'what to do') }
  if (reader.at('attempts')) {
    return refuse(reader, 'attempts', 'remove it: mail is tried again until `queue ttl` of smtpd.conf is over')
  }
  return reader.unexpected('an option of the queue', ['answers', 'tag', 'concurrency', 'timeout', 'on-failure'])
}

/** `"lo:10025"`: the tag of that listener of smtpd.conf. */
function listenerTag(draft: PipelineDraft): string {
  const { reader } = draft
  const place = reader.string('a listener, interface:port')
  const [, on, port] = /^(.*):(\d+)$/.exec(place.text) ?? []
  const found = draft.policy.listeners.find(
    (listener: Listener) => listener.on === on && listener.port === Number(port),
  )
  if (found?.tag !== undefined) return found.tag
  return reader.fail(
    'unknown-name',
    `smtpd.conf has no listener ${place.text} with a tag`,
    place.span,
    'write `tag NAME`',
  )
}

/** `spam [engine builtin] [junk N] [reject N] [discard N] [header NAME] [subject TEXT]`. */
function parseSpam(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  let spam = draft.settings.spam
  while (!reader.atEnd()) {
    if (reader.accept('engine')) choiceOf(reader, ['builtin'] as const, 'the engine')
    else if (reader.accept('junk')) spam = { ...spam, junk: scoreOf(reader) }
    else if (reader.accept('reject')) spam = { ...spam, reject: scoreOf(reader) }
    else if (reader.accept('discard')) spam = { ...spam, discard: scoreOf(reader) }
    else if (reader.accept('subject')) spam = { ...spam, subject: reader.string('a text').text }
    else if (reader.accept('header')) {
      const header = reader.string('the name of a header field')
      if (!/^[\x21-\x39\x3b-\x7e]+$/.test(header.text)) reader.fail('value', 'this is not a field name', header.span)
      spam = { ...spam, header: header.text }
    } else if (reader.at('clean'))
      refuse(reader, 'spam clean', 'remove it; let rules of smtpd.conf go past the filter queue')
    else reader.unexpected('a setting of spam', ['engine', 'junk', 'reject', 'discard', 'header', 'subject'])
  }
  finish(draft, { spam })
}

/** `dkim domain NAME selector NAME key FILE ...` and `dkim default same-domain [selector NAME key FILE ...]`. */
function parseDkim(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  if (reader.accept('domain')) {
    const domain = reader.string('a domain').text.toLowerCase()
    const known = draft.settings.dkim.some((key) => key.domain === domain)
    const key = dkimKey(draft, domain, start)
    if (known) reader.fail('duplicate', `${domain} has a key already`, start.span)
    return finish(draft, { dkim: [...draft.settings.dkim, key] })
  }
  reader.expect('default', 'or "domain" behind "dkim"')
  reader.expect('same-domain', 'behind "default"')
  if (reader.atEnd()) return finish(draft, {})
  finish(draft, { dkim: [...draft.settings.dkim, dkimKey(draft, '*', start)] })
}

function dkimKey(draft: PipelineDraft, domain: string, start: Token): DkimKey {
  const { reader } = draft
  const algorithms = ['relaxed', 'simple'] as const
  let selector: string | undefined
  let keyFile: string | undefined
  let header: string = 'relaxed'
  let body: string = 'simple'
  let expireMs: number | undefined
  while (!reader.atEnd()) {
    if (reader.accept('selector')) selector = reader.string('a selector').text
    else if (reader.accept('key')) keyFile = namedFile(draft, 'the DKIM key')
    else if (reader.accept('header')) header = choiceOf(reader, algorithms, 'a canonicalization')
    else if (reader.accept('body')) body = choiceOf(reader, algorithms, 'a canonicalization')
    else if (reader.accept('expire')) expireMs = reader.duration('expire')
    else reader.unexpected('an option of dkim', ['selector', 'key', 'header', 'body', 'expire'])
  }
  if (selector === undefined || keyFile === undefined) {
    return reader.fail(
      'incomplete',
      'dkim needs a selector and a key',
      start.span,
      'add: selector "main" key "/path.key"',
    )
  }
  const canonicalization = `${header}/${body}`
  return { domain, selector, keyFile, canonicalization, ...(expireMs === undefined ? {} : { expireMs }) }
}

/** `auth-results verify spf dkim dmarc arc`. */
function parseAuthResults(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('verify', 'behind "auth-results"')
  const authResults: PipelineSettings['authResults'][number][] = []
  while (!reader.atEnd()) authResults.push(choiceOf(reader, ['spf', 'dkim', 'dmarc', 'arc'] as const, 'a check'))
  finish(draft, { authResults: [...new Set(authResults)] })
}

/** `users from <table> | from any | passwd FILE`. */
function parseUsers(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('passwd')) {
    return finish(draft, { users: { kind: 'passwd', file: namedFile(draft, 'the passwd file') } })
  }
  reader.expect('from', 'or "passwd" behind "users"')
  if (reader.accept('any')) return finish(draft, { users: { kind: 'any' } })
  if (reader.at('lmtp')) refuse(reader, 'users from lmtp', 'write `users from <table>` or `users from any`')
  finish(draft, { users: { kind: 'table', table: parseTables(draft.policy, 'either', '"users"') } })
}

/** `login from <table> | passwd FILE`. */
function parseLogin(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  if (reader.at('dovecot')) refuse(reader, 'login dovecot', 'write `login from <table>`')
  if (reader.accept('passwd')) {
    const path = namedFile(draft, 'the passwd file')
    const login: Table = { name: '<login>', source: { kind: 'file', path, format: 'passwd' }, at: positionOf(start) }
    return finish(draft, { login })
  }
  reader.expect('from', 'or "passwd" behind "login"')
  finish(draft, { login: parseTables(draft.policy, 'map', '"login"') })
}

/** `interface NAME is ADDRESS`. */
function parseInterface(draft: PipelineDraft): void {
  const [name, address] = mapping(draft.reader, 'an interface', 'an address')
  finish(draft, { interfaces: new Map([...draft.settings.interfaces, [name, address]]) })
}

/** `socket PATH is "host:port"`. */
function parseSocket(draft: PipelineDraft): void {
  const [path, address] = mapping(draft.reader, 'the path of a socket', 'host:port')
  finish(draft, { sockets: new Map([...draft.settings.sockets, [path, address]]) })
}

/** `resolver "address[:port]" ...`; statements add up. */
function parseResolver(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const servers: string[] = []
  do {
    const server = reader.string('the address of a DNS server')
    if (!/^(?:\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?|[0-9a-fA-F:]+)$/.test(server.text)) {
      reader.fail(
        'value',
        `"${server.text}" is not an address`,
        server.span,
        '"10.0.0.53", "10.0.0.53:5353" or "[::1]:53"',
      )
    }
    servers.push(server.text)
    reader.accept(',')
  } while (!reader.atEnd())
  finish(draft, { resolvers: [...draft.settings.resolvers, ...servers] })
}

/** `tls minimum VERSION`. */
function parseTls(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('minimum', 'behind "tls"')
  finish(draft, { tlsMinimum: choiceOf(reader, ['TLSv1.2', 'TLSv1.3'] as const, 'a version') })
}

/** `relay port N`. */
function parseRelay(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('port', 'behind "relay"')
  const { value, span } = reader.number('a port')
  if (value < 1 || value > 65_535) reader.fail('value', `${value} is not a port`, span)
  finish(draft, { relayPort: value })
}

function finish(draft: PipelineDraft, change: Partial<PipelineSettings>): void {
  draft.reader.endOfStatement()
  draft.settings = { ...draft.settings, ...change }
}

function queueOf(name: string, settings: Partial<QueueSettings>): QueueSettings {
  return { name, tag: '', concurrency: 4, timeoutMs: minuteMs, onFailure: 'defer', ...settings }
}

function refuse(reader: TokenReader, what: string, instead: string): never {
  return reader.fail('unsupported', `${what} is not supported by this version`, reader.peek().span, instead)
}

function namedFile(draft: PipelineDraft, what: string): string {
  const file = draft.reader.string(`the file of ${what}`)
  const path = resolvePath(file.text, file.span.file)
  draft.files.push({ path, what, span: file.span })
  return path
}

function mapping(reader: TokenReader, from: string, to: string): readonly [string, string] {
  reader.next()
  const name = reader.string(from).text
  reader.expect('is', `behind ${from}`)
  return [name, reader.string(to).text]
}

function listenOf(reader: TokenReader): { readonly host: string; readonly port: number } {
  reader.expect('listen', 'here')
  const place = reader.string('"host:port"')
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(place.text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) {
    return reader.fail('value', `"${place.text}" is not host:port`, place.span, '"127.0.0.1:8080" or "[::]:8080"')
  }
  return { host, port: Number(port) }
}

function choiceOf<Choice extends string>(reader: TokenReader, known: readonly Choice[], what: string): Choice {
  const { text } = reader.peek()
  const choice = reader.peek().kind === 'number' ? undefined : known.find((one) => one === text)
  if (choice === undefined) return reader.unexpected(what, known)
  reader.next()
  return choice
}

function tagOf(reader: TokenReader): string {
  const name = reader.string('a tag')
  if (!/^[\x21-\x7e]{1,32}$/.test(name.text)) reader.fail('value', 'a tag has 1 to 32 visible characters', name.span)
  return name.text
}

function positive(reader: TokenReader): number {
  const { value, span } = reader.number('a number')
  if (value < 1) reader.fail('value', 'it must be at least 1', span)
  return value
}

function scoreOf(reader: TokenReader): number {
  const token = reader.peek()
  const score = Number(token.text)
  if (!['number', 'word', 'string'].includes(token.kind) || token.text === '' || !Number.isFinite(score)) {
    return reader.fail('value', `"${token.text}" is not a score`, token.span, 'a number: 5.0')
  }
  reader.next()
  return score
}

function sizeOf(reader: TokenReader): number {
  const token: { readonly text: string; readonly span: Span } = reader.peek()
  const octets = parseSize(token.text)
  if (octets === undefined || octets < 1)
    return reader.fail('value', `"${token.text}" is not a size`, token.span, '10G')
  reader.next()
  return octets
}
