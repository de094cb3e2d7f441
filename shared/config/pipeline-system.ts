import { isIP } from 'node:net'

import { dnsPlace } from '../dns/exchange.ts'
import { isDomain } from '../mail/address.ts'
import type { PipelineSettings } from './model.ts'
import { parseEventStore } from './pipeline-event-store.ts'
import { finish, namedFile, choiceOf, sizeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import type { TokenReader } from './token-reader.ts'

/** What the processes of this host share: Redis, log, name, DNS. */
export const systemStatements: Readonly<Record<string, ParseStatement>> = {
  redis: parseRedis,
  log: parseLog,
  events: parseEvents,
  replay: parseReplay,
  hostname: parseHostname,
  resolver: parseResolver,
}

/** `redis "redis://..." [password file PATH] [sentinel password file PATH] [prefix NAME]`. */
function parseRedis(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const url = reader.string('the URL of Redis')
  const password = /^rediss?(?:\+\w+)?:\/\/[^/@]*:[^/@]+@/.test(url.text)
  if (!password && !isRedisUrl(url.text)) {
    reader.fail(
      'value',
      `"${url.text}" is not a URL of Redis`,
      url.span,
      '"redis://127.0.0.1:6379/0", "redis+sentinel://10.0.0.1,10.0.0.2,10.0.0.3/mymaster", "redis+cluster://10.0.0.1,10.0.0.2" or the path of a socket',
    )
  }
  if (password) {
    reader.fail('value', 'a password must not stand in this file', url.span, 'write `password file "/path"`')
  }
  let redis: NonNullable<PipelineSettings['redis']> = { url: url.text, prefix: 'sluice' }
  while (!reader.atEnd()) {
    if (reader.accept('password')) {
      reader.expect('file', 'behind "password"')
      redis = { ...redis, passwordFile: namedFile(draft, 'the password of Redis') }
    } else if (reader.accept('sentinel')) {
      reader.expect('password', 'behind "sentinel"')
      reader.expect('file', 'behind "sentinel password"')
      redis = { ...redis, sentinelPasswordFile: namedFile(draft, 'the password of the Sentinels') }
      if (!/^rediss?\+sentinel:/.test(url.text)) {
        reader.fail('value', `"${url.text}" names no Sentinels`, url.span, '"redis+sentinel://10.0.0.1/mymaster"')
      }
    } else if (reader.accept('prefix')) redis = { ...redis, prefix: reader.string('a prefix').text }
    else reader.unexpected('password, sentinel or prefix', ['password', 'sentinel', 'prefix'])
  }
  finish(draft, { redis })
}

/** Sentinels need the name of the primary, a Cluster has no numbered databases. */
function isRedisUrl(text: string): boolean {
  const hosts = String.raw`(?:[^/@]*@)?[^/@,]+(?:,[^/@,]+)*`
  return (
    /^(?:rediss?|unix):\/\//.test(text) ||
    text.startsWith('/') ||
    new RegExp(String.raw`^rediss?\+(?:sentinel://${hosts}/[^/]+(?:/\d+)?|cluster://${hosts}/?)$`).test(text)
  )
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

export const usualEvents: PipelineSettings['events'] = { keepMs: 30 * 86_400_000, store: { kind: 'sqlite' } }
const shortestKeepMs = 86_400_000
const leastBytes = 256 * 1024 * 1024
const shortestReplayMs = 60_000

/** `events [keep D [SIZE]] [subjects] [smtp-talk] [store sqlite | store postgresql ...]`. */
function parseEvents(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const words = ['keep', 'subjects', 'smtp-talk', 'store']
  if (!words.includes(reader.peek().text)) reader.unexpected('keep, subjects, smtp-talk or store', words)
  const kept = reader.accept('keep') ? parseKeep(reader) : { keepMs: usualEvents.keepMs }
  const subjects = reader.accept('subjects') ? ({ subjects: true } as const) : {}
  const talk = reader.accept('smtp-talk') ? ({ smtpTalk: true } as const) : {}
  const store = reader.atEnd() ? usualEvents.store : parseEventStore(draft)
  finish(draft, { events: { ...kept, ...subjects, ...talk, store } })
}

/** `D [SIZE]`. */
function parseKeep(reader: TokenReader): Pick<PipelineSettings['events'], 'keepMs' | 'maxBytes'> {
  const time = reader.peek()
  const keepMs = reader.duration('keep')
  if (keepMs < shortestKeepMs) reader.fail('value', 'events are kept for a day at least', time.span, '30d')
  if (reader.atEnd() || ['subjects', 'smtp-talk', 'store'].includes(reader.peek().text)) return { keepMs }
  const size = reader.peek()
  const maxBytes = sizeOf(reader)
  if (maxBytes < leastBytes) reader.fail('value', 'less than 256M holds no useful time of events', size.span, '2G')
  return { keepMs, maxBytes }
}

/** `replay keep D [SIZE]`. */
function parseReplay(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('keep', 'behind "replay"')
  const time = reader.peek()
  const keepMs = reader.duration('keep')
  if (keepMs < shortestReplayMs) reader.fail('value', 'contents stay for a minute in any case', time.span, '7d')
  if (reader.atEnd()) return finish(draft, { replay: { keepMs } })
  const size = reader.peek()
  const maxBytes = sizeOf(reader)
  if (maxBytes < leastBytes) reader.fail('value', 'less than 256M holds no useful time of mail', size.span, '20G')
  finish(draft, { replay: { keepMs, maxBytes } })
}

function parseHostname(draft: PipelineDraft): void {
  draft.reader.next()
  draft.hostname = draft.reader.string('the name of this host').text
  finish(draft, {})
}

/** `resolver "host[:port]" ... [validating]`; statements add up. */
function parseResolver(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const servers: string[] = []
  do {
    const server = reader.string('the address or name of a DNS server')
    if (!isDnsServer(server.text)) {
      reader.fail(
        'value',
        `"${server.text}" is not an address, nor a name with a port`,
        server.span,
        '"10.0.0.53", "10.0.0.53:5353", "[::1]:53" or "unbound:53"',
      )
    }
    servers.push(server.text)
    reader.accept(',')
  } while (!reader.atEnd() && reader.peek().text !== 'validating')
  const validating = reader.accept('validating') ? servers : []
  const { resolvers, validatingResolvers } = draft.settings
  finish(draft, {
    resolvers: [...resolvers, ...servers],
    validatingResolvers: [...validatingResolvers, ...validating],
  })
}

/** A name has its port, so that no forgotten word is taken for one. Digits and dots alone are meant as an address (RFC 1123 §2.1). */
function isDnsServer(text: string): boolean {
  const { address, port } = dnsPlace(text)
  if (port < 1 || port > 65_535) return false
  return isIP(address) !== 0 || (/:\d+$/.test(text) && !/^[\d.]*$/.test(address) && isDomain(address.toLowerCase()))
}
