import type { Token } from './lexer.ts'
import type { DkimKey } from './model.ts'
import { Once } from './once.ts'
import { finish, namedFile, choiceOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import type { TokenReader } from './token-reader.ts'
import { isOlder, knownVersions } from './tls-words.ts'

/** The way out: signatures, TLS, relaying. */
export const outboundStatements: Readonly<Record<string, ParseStatement>> = {
  dkim: parseDkim,
  arc: parseArc,
  tls: parseTls,
  relay: parseRelay,
  'mta-sts': parseMtaSts,
  dane: parseDane,
}

/**
 * `dkim domain NAME selector NAME key FILE ...` and `dkim default same-domain [selector NAME key FILE ...]`. A domain may have
 * several keys, each with a selector of its own (RFC 8463 §3: RSA and Ed25519 side by side): all of them sign. `dkim seven-bit on|off`.
 */
function parseDkim(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  if (reader.accept('domain')) {
    const domain = reader.string('a domain').text.toLowerCase()
    return finish(draft, { dkim: [...draft.settings.dkim, dkimKey(draft, domain, start)] })
  }
  if (reader.accept('seven-bit')) return dkimSevenBit(draft, start)
  reader.expect('default', 'or "domain" or "seven-bit" behind "dkim"')
  reader.expect('same-domain', 'behind "default"')
  if (reader.atEnd()) return finish(draft, {})
  finish(draft, { dkim: [...draft.settings.dkim, dkimKey(draft, '*', start)] })
}

/** `dkim seven-bit on|off`, once. */
function dkimSevenBit(draft: PipelineDraft, { span }: Token): void {
  const { reader, stated } = draft
  if (stated.has('dkim seven-bit'))
    reader.fail('duplicate', '"dkim seven-bit" is stated already', span, 'keep one of the two')
  stated.add('dkim seven-bit')
  finish(draft, { dkimSevenBit: choiceOf(reader, ['on', 'off'] as const, 'on or off') === 'on' })
}

function dkimKey(draft: PipelineDraft, domain: string, start: Token): DkimKey {
  const { reader } = draft
  const algorithms = ['relaxed', 'simple'] as const
  let selector: string | undefined
  let keyFile: string | undefined
  let header: string = 'relaxed'
  let body: string = 'simple'
  let expireMs: number | undefined
  const once = new Once(reader)
  while (!reader.atEnd()) {
    once.check(reader.peek())
    if (reader.accept('selector')) selector = selectorOf(draft, domain)
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

function selectorOf({ reader, settings }: PipelineDraft, domain: string): string {
  const { text, span } = reader.string('a selector')
  const known = settings.dkim.some((key) => key.domain === domain && key.selector.toLowerCase() === text.toLowerCase())
  if (known) {
    const whose = domain === '*' ? 'the default' : domain
    const hint = 'each key has a selector of its own: "main" for RSA, "main-ed" for Ed25519'
    reader.fail('duplicate', `${whose} has a key with the selector "${text}" already`, span, hint)
  }
  return text
}

/** `arc seal domain NAME selector NAME key FILE`. */
function parseArc(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  reader.expect('seal', 'behind "arc"')
  const found: { domain?: string; selector?: string; keyFile?: string } = {}
  const once = new Once(reader)
  while (!reader.atEnd()) {
    once.check(reader.peek())
    if (reader.accept('domain')) found.domain = reader.string('a domain').text.toLowerCase()
    else if (reader.accept('selector')) found.selector = reader.string('a selector').text
    else if (reader.accept('key')) found.keyFile = namedFile(draft, 'the key of ARC seals')
    else reader.unexpected('an option of arc', ['domain', 'selector', 'key'])
  }
  const { domain, selector, keyFile } = found
  if (domain === undefined || selector === undefined || keyFile === undefined) {
    const hint = 'arc seal domain "example.org" selector "main" key "/path.key"'
    return reader.fail('incomplete', 'a seal needs a domain, a selector and a key', start.span, hint)
  }
  finish(draft, { arcSeal: { domain, selector, keyFile, canonicalization: 'relaxed/relaxed' } })
}

/** `tls minimum VERSION` and `tls ca FILE`. */
function parseTls(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('ca')) return finish(draft, { tlsCa: namedFile(draft, 'the trusted authorities') })
  reader.expect('minimum', 'or "ca" behind "tls"')
  const { span } = reader.peek()
  const tlsMinimum = choiceOf(reader, knownVersions, 'a version')
  if (isOlder(tlsMinimum, 'TLSv1.2')) {
    const message = `${tlsMinimum} is broken, and no server should speak it any more (RFC 8996)`
    reader.warn('old-tls', message, span, 'leave it out: nearly everybody has TLSv1.2')
  }
  finish(draft, { tlsMinimum })
}

const eightBitRules = ['convert', 'convert-signed', 'unchanged', 'return'] as const

/** `relay port N` and `relay eight-bit convert|convert-signed|unchanged|return`, each once. */
function parseRelay(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const word = reader.peek()
  if (draft.stated.has(`relay ${word.text}`))
    reader.fail('duplicate', `"relay ${word.text}" is stated already`, word.span, 'keep one of the two')
  draft.stated.add(`relay ${word.text}`)
  if (reader.accept('eight-bit'))
    return finish(draft, { relayEightBit: choiceOf(reader, eightBitRules, 'what a host without 8BITMIME gets') })
  reader.expect('port', 'or "eight-bit" behind "relay"')
  finish(draft, { relayPort: portOf(reader) })
}

/** `mta-sts off|testing|opportunistic [port N]`. */
function parseMtaSts(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const mode = choiceOf(reader, ['off', 'testing', 'opportunistic'] as const, 'how MTA-STS is followed')
  const port = reader.accept('port') ? portOf(reader) : draft.settings.mtaSts.port
  finish(draft, { mtaSts: { mode, port } })
}

/** `dane off|opportunistic`. */
function parseDane(draft: PipelineDraft): void {
  draft.reader.next()
  finish(draft, { dane: choiceOf(draft.reader, ['off', 'opportunistic'] as const, 'how DANE is followed') })
}

function portOf(reader: TokenReader): number {
  const { value, span } = reader.number('a port')
  if (value < 1 || value > 65_535) reader.fail('value', `${value} is not a port`, span)
  return value
}
