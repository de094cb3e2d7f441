import { readCommand } from './command-setting.ts'
import { parseAtRest } from './at-rest.ts'
import { closest } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { Limits } from './model.ts'
import { resolvePath } from './path.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseSize } from './quantity.ts'
import { readCiphers } from './tls-words.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

const dayMs = 86_400_000
const maximumWarnings = 4
const smtpLimits = ['max-mails', 'max-rcpt']
export const mdaLimits = ['max-session', 'max-session-per-user', 'task-hiwat', 'task-lowat', 'task-release']
export const schedulerLimits = ['max-inflight', 'max-evp-batch-size', 'max-msg-batch-size', 'max-schedule']
const mtaLimits = [
  ...['host', 'route', 'source', 'connector', 'relay', 'domain'].flatMap((of) => [
    `max-conn-per-${of}`,
    `conn-delay-${of}`,
  ]),
  'reconn-delay-route',
  'session-mail-max',
  'session-transaction-delay',
  'session-keepalive',
  'max-failures-per-session',
  'task-hiwat',
  'task-lowat',
  'task-release',
]

/** `pki NAME cert FILE | key FILE | dhe MODE ...`; statements of one name add up. */
export function parsePki(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const name = hostLabelOf(reader, 'the name of the pki')
  draft.names.touch('pki', name)
  const pki = draft.pkis.get(name.text) ?? { at: positionOf(name), span: name.span }
  draft.pkis.set(name.text, pki)
  const told = pki.faulty
  pki.faulty = true
  while (!reader.atEnd()) {
    const option = reader.peek()
    if (reader.accept('cert') || reader.accept('key')) {
      const kind = option.text === 'cert' ? 'cert' : 'key'
      const file = reader.string(`the file of the ${kind === 'cert' ? 'certificate' : 'key'}`)
      const path = resolvePath(file.text, file.span.file)
      pki[kind] = path
      draft.files.push({ path, what: kind === 'cert' ? 'the certificate' : 'the key', span: file.span })
    } else if (reader.accept('dhe')) pki.dhe = readDhe(reader)
    else if (reader.at('certificate')) {
      reader.fail('unknown-keyword', '"certificate" is of the old grammar', option.span, 'write `cert`')
    } else reader.unexpected('cert, key or dhe', ['cert', 'key', 'dhe'])
  }
  reader.endOfStatement()
  pki.faulty = told ?? false
}

/** A name in lower case that the resolver would take for a host's, or `*`. */
function hostLabelOf(reader: TokenReader, what: string): Token {
  const name = reader.string(what)
  const text = name.text.toLowerCase()
  const isHost = text.length <= 254 && /^(?!-)(?:[a-z0-9_-]{1,63}(?:\.|$))+$/.test(text)
  if (isHost || text === '*' || text === '.') return { ...name, text }
  return reader.fail(
    'value',
    `"${name.text}" is not a host name or "*"`,
    name.span,
    'letters, digits, "-", "_" and "."',
  )
}

/** The later of two of the same name counts, as upstream. */
export function declareCa(draft: PolicyDraft, name: Token): void {
  if (draft.cas.has(name.text)) {
    const hint = 'keep one of the two'
    draft.reader.warn('duplicate', `the ca "${name.text}" is stated already: only this one counts`, name.span, hint)
  }
  draft.names.touch('ca', name)
}

/** Ephemeral Diffie-Hellman of a pki. Groups of 1024 bits are no longer made: `legacy` is `auto`, and says so. */
export function readDhe(reader: TokenReader): 'none' | 'auto' {
  const mode = reader.string('a DHE mode')
  if (mode.text === 'none' || mode.text === 'auto') return mode.text
  if (mode.text !== 'legacy') {
    return reader.fail('value', `"${mode.text}" is not a DHE mode`, mode.span, 'none, auto or legacy')
  }
  const message = '"legacy" asks for groups of 1024 bits, which are too weak: "auto" is done'
  reader.warn('portability', message, mode.span, 'write `dhe auto`')
  return 'auto'
}

/** `ca NAME cert FILE`. */
export function parseCa(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const name = hostLabelOf(reader, 'the name of the ca')
  declareCa(draft, name)
  reader.expect('cert', 'behind the name of the ca')
  const file = reader.string('the file of the certificates')
  const path = resolvePath(file.text, file.span.file)
  draft.cas.set(name.text, path)
  draft.files.push({ path, what: 'the CA certificates', span: file.span })
  reader.endOfStatement()
}

/** `mda wrapper NAME COMMAND` and `mda limit KEY N ...`. */
export function parseMda(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('wrapper')) {
    const name = reader.string('the name of the wrapper')
    draft.names.declare('wrapper', name)
    draft.wrappers.set(name.text, readCommand(draft, 'wrapper'))
  } else if (reader.accept('limit')) setMdaLimits(draft)
  else reader.unexpected('wrapper or limit', ['wrapper', 'limit'])
  reader.endOfStatement()
}

/** `max-session` and `max-session-per-user` hold for commands; the others are of a process we do not have. */
export function setMdaLimits(draft: PolicyDraft): void {
  const mda = parseLimits(draft, draft.limits.mda, mdaLimits)
  if (draft.reader.statement.some(({ text }) => text.startsWith('task-'))) setLimits(draft, { mda })
  else draft.limits = { ...draft.limits, mda }
}

/** `mta max-deferred N` and `mta limit [for domain NAME] ...`. */
export function parseMta(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('max-deferred')) setMaximumDeferred(draft)
  else if (reader.accept('limit')) setMtaLimits(draft)
  else reader.unexpected('max-deferred or limit', ['max-deferred', 'limit'])
  reader.endOfStatement()
}

/** How much waits in memory for a host that fails; here all of it waits in Redis. */
export function setMaximumDeferred(draft: PolicyDraft): void {
  draft.limits = { ...draft.limits, mtaMaxDeferred: draft.reader.number('a number').value }
  const why = 'what waits for a host that fails is kept in Redis, however much it is'
  draft.reader.warn('no-effect', why, draft.reader.last.span, 'remove it')
}

/** `[for domain NAME] {inet4 | inet6 | KEY N}`; statements of one domain add up. */
export function setMtaLimits(draft: PolicyDraft): void {
  const { reader, limits } = draft
  if (reader.accept('for')) {
    reader.expect('domain', 'behind "for"')
    const domain = reader.string('a domain').text.toLowerCase()
    const known = draft.mtaDomains.get(domain)
    draft.mtaDomains.set(domain, { ...known, ...parseMtaLimits(draft, known?.limits ?? new Map()) })
  } else {
    const { limits: mta, family } = parseMtaLimits(draft, limits.mta)
    draft.limits = { ...limits, mta, ...(family === undefined ? {} : { mtaFamily: family }) }
  }
}

/** `scheduler limit KEY N ...`. */
export function parseScheduler(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('limit', 'behind "scheduler"')
  setLimits(draft, { scheduler: parseLimits(draft, draft.limits.scheduler, schedulerLimits) })
  reader.endOfStatement()
}

/** `queue ttl DURATION`, `queue compression`, `queue encryption [KEY]`. */
export function parseQueue(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('ttl')) draft.queueTtlMs = reader.duration('queue ttl')
  else if (!parseAtRest(draft))
    reader.unexpected('ttl, compression or encryption', ['ttl', 'compression', 'encryption'])
  reader.endOfStatement()
}

/** `smtp limit | ciphers | max-message-size | sub-addr-delim`. */
export function parseSmtp(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('max-message-size')) parseMaximumSize(draft)
  else if (reader.accept('ciphers')) draft.ciphers = readCiphers(reader)
  else if (reader.accept('sub-addr-delim')) parseDelimiter(draft)
  else if (reader.accept('limit')) parseSmtpLimits(draft)
  else reader.unexpected('a setting of smtp', ['limit', 'ciphers', 'max-message-size', 'sub-addr-delim'])
  reader.endOfStatement()
}

/** A size behind its word. */
export function parseMaximumSize(draft: PolicyDraft): void {
  const { reader } = draft
  const size = reader.peek()
  const octets = size.kind === 'number' || reader.atString() ? parseSize(size.text) : undefined
  if (octets === undefined || octets < 1) {
    return reader.fail('value', `"${size.text}" is not a size`, size.span, 'octets, or a number with K, M or G: 35M')
  }
  reader.next()
  draft.maxMessageBytes = octets
}

/** The delimiter of sub-addresses behind its word. */
export function parseDelimiter(draft: PolicyDraft): void {
  const { reader } = draft
  const delimiter = reader.string('one character in quotes')
  if (!/^[\x21-\x7e]$/.test(delimiter.text) || delimiter.text === '@') {
    reader.fail('value', 'the delimiter is one visible character, and not "@"', delimiter.span)
  }
  draft.subAddressDelimiter = delimiter.text
}

/** `srs key [backup] SECRET` and `srs ttl DURATION`, in whole days. */
export function parseSrs(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('key')) {
    const backup = reader.accept('backup')
    const secret = reader.string('a secret')
    if (secret.text === '') reader.fail('value', 'the key is empty', secret.span, 'openssl rand -hex 16')
    draft[backup ? 'srsBackupKey' : 'srsKey'] = secret.text
  } else if (reader.accept('ttl')) {
    const { span } = reader.peek()
    draft.srsTtlDays = Math.floor(reader.duration('srs ttl') / dayMs)
    if (draft.srsTtlDays < 1) reader.fail('value', 'srs ttl is at least 1d', span)
    if (draft.srsTtlDays > 1000) reader.fail('value', 'srs ttl is at most 1000d: its days count modulo 1024', span)
  } else reader.unexpected('key or ttl', ['key', 'ttl'])
  reader.endOfStatement()
}

/** `bounce warn-interval DURATION, ...`: at most four count. */
export function parseBounce(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('warn-interval', 'behind "bounce"')
  parseDelays(draft)
  reader.endOfStatement()
}

export function parseDelays(draft: PolicyDraft): void {
  const { reader } = draft
  const delays: number[] = []
  do {
    const { span } = reader.peek()
    delays.push(reader.duration('warn-interval'))
    if (delays.length === maximumWarnings + 1) {
      reader.warn('value', `only the first ${maximumWarnings} warnings are sent`, span, 'remove this one')
    }
  } while (reader.accept(','))
  draft.bounceWarnMs = delays.slice(0, maximumWarnings)
}

/** `admd NAME`: the authserv-id. */
export function parseAdmd(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  draft.admd = reader.string('the name of the domain').text
  reader.endOfStatement()
}

export function parseSmtpLimits(draft: PolicyDraft): void {
  const { reader } = draft
  while (!reader.atEnd()) {
    const [key, value] = parseLimit(reader, smtpLimits)
    if (key === 'max-mails') draft.maxMailsPerSession = value
    else draft.maxRecipients = value
  }
}

export function parseLimits(
  draft: PolicyDraft,
  before: ReadonlyMap<string, number>,
  known: readonly string[],
): ReadonlyMap<string, number> {
  const limits = new Map(before)
  while (!draft.reader.atEnd()) limits.set(...parseLimit(draft.reader, known))
  return limits
}

function parseLimit(reader: TokenReader, known: readonly string[]): [name: string, value: number] {
  const key = reader.string('the name of a limit')
  if (!known.includes(key.text)) {
    const meant = closest(key.text, known)
    const hint = meant === undefined ? `one of: ${known.join(', ')}` : `did you mean "${meant}"?`
    reader.fail('unknown-keyword', `there is no limit "${key.text}"`, key.span, hint)
  }
  return [key.text, reader.number('a number').value]
}

function parseMtaLimits(
  draft: PolicyDraft,
  before: ReadonlyMap<string, number>,
): { readonly limits: ReadonlyMap<string, number>; readonly family?: 4 | 6 } {
  const { reader } = draft
  const limits = new Map(before)
  let family: 4 | 6 | undefined
  while (!reader.atEnd()) {
    if (reader.accept('inet4')) family = 4
    else if (reader.accept('inet6')) family = 6
    else limits.set(...parseMtaLimit(reader))
  }
  return { limits, ...(family === undefined ? {} : { family }) }
}

function parseMtaLimit(reader: TokenReader): [name: string, value: number] {
  const { span } = reader.peek()
  const [name, value] = parseLimit(reader, mtaLimits)
  const least = name.startsWith('max-') || name === 'session-mail-max' ? 1 : 0
  if (value < least) reader.fail('value', `${name} is at least ${least}`, reader.last.span)
  if (name.startsWith('task-')) {
    const why = `${name} has no effect: no process of ours keeps messages that wait in memory`
    reader.warn('no-effect', why, span, 'remove it')
  }
  return [name, value]
}

export function setLimits(draft: PolicyDraft, change: Partial<Limits>): void {
  draft.limits = { ...draft.limits, ...change }
  const [first] = draft.reader.statement
  if (first === undefined) return
  const hint = 'limit the work of a queue in pipeline.conf: queue "relay" concurrency 20'
  draft.reader.warn('no-effect', 'this limit is read and has no effect yet', first.span, hint)
}
