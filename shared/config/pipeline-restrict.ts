import { parseAccessValue } from './access-value.ts'
import type {
  AccessSubject,
  DnsblRule,
  GreylistRule,
  Restriction,
  RestrictionCondition,
  RestrictionRule,
  RestrictionStage,
  Table,
} from './model.ts'
import { choiceOfListeners } from './listener-choice.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import { dnsblOf, signedScoreOf } from './pipeline-dnsbl.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseTableFile } from './table-file.ts'
import { parseTables } from './table-grammar.ts'
import { positionOf, spanOf } from './token-reader.ts'
import type { TokenReader } from './token-reader.ts'

/** Who may talk to us and what they may say: ordered lists, one for each stage of a session. */
export const restrictStatements: Readonly<Record<string, ParseStatement>> = { restrict: parseRestrict }

const stages = ['connect', 'helo', 'mail', 'rcpt', 'data'] as const
const accessSubjects = ['client', 'helo', 'sender', 'recipient', 'certificate'] as const
const domainFaults = ['non-fqdn', 'unknown-domain', 'unlisted'] as const
const rejections = [
  'dnsbl',
  'dnsbl-score',
  'client',
  'helo',
  'sender',
  'recipient',
  'unauthorised-destination',
  'pipelining',
  'plaintext',
  'when',
] as const
const conditions = ['from', 'helo', 'sender', 'recipient', 'authenticated', 'own-addresses', 'certificate'] as const
const defaultReject = '554 5.7.1 Access denied'
const defaultDefer = '450 4.7.1 Access denied for now, try again later'
/** A session that does nothing for longer is taken for a dead one. */
const longestSleepMs = 120_000

/** `restrict delay on | off`, `restrict STAGE [on "HOST:PORT" | tag NAME] RULE`; statements add up. */
function parseRestrict(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  if (reader.accept('delay'))
    return finish(draft, { delayRefusals: choiceOf(reader, ['on', 'off'], 'on or off') === 'on' })
  const stage = choiceOf(reader, stages, 'a stage of the session, or "delay"')
  const choice = choiceOfListeners(reader)
  const rule = ruleOf(draft, stage)
  const at = positionOf(start)
  const text = reader.lexer.textBetween(start, reader.last) ?? `restrict of ${at.file}:${at.line}`
  const restriction: Restriction = { stage, rule, text, at, ...(choice === undefined ? {} : { for: choice }) }
  finish(draft, { restrictions: [...draft.settings.restrictions, restriction] })
}

function ruleOf(draft: PipelineDraft, stage: RestrictionStage): RestrictionRule {
  const { reader } = draft
  const verb = choiceOf(reader, ['permit', 'reject', 'defer', 'check', 'dnsbl', 'sleep'], 'what to do')
  switch (verb) {
    case 'permit':
      return { kind: 'permit', ...whenOf(draft, stage, !reader.atEnd()) }
    case 'reject':
      return rejectionOf(draft, stage)
    case 'defer':
      if (reader.accept('greylist')) return greylistOf(reader, stage)
      return replyRule(draft, stage, defaultDefer, /^4\d\d [\x20-\x7e]+$/)
    case 'check': {
      const subject = accessSubjectOf(reader, stage)
      return { kind: 'check', subject, table: accessTableOf(draft, subject) }
    }
    case 'dnsbl': {
      const list = listOf(draft)
      reader.expect('score', 'behind the list: without a score, write `reject dnsbl`')
      return { ...list, score: signedScoreOf(reader) }
    }
    case 'sleep':
      return { kind: 'sleep', ms: sleepOf(reader) }
  }
}

function rejectionOf(draft: PipelineDraft, stage: RestrictionStage): RestrictionRule {
  const { reader } = draft
  if (reader.atEnd() || reader.at('when') || reader.peek().kind === 'string')
    return replyRule(draft, stage, defaultReject, /^[45]\d\d [\x20-\x7e]+$/)
  const what = choiceOf(reader, rejections, 'what is refused')
  switch (what) {
    case 'dnsbl':
      return listOf(draft)
    case 'dnsbl-score':
      return { kind: 'dnsbl-score', atLeast: signedScoreOf(reader) }
    case 'client':
      return { kind: 'client', fault: choiceOf(reader, ['unknown', 'unnamed'], 'what is wrong with its name') }
    case 'helo':
      return { kind: 'helo', fault: choiceOf(reader, ['invalid', 'non-fqdn', 'unknown'], 'what is wrong with it') }
    case 'sender':
    case 'recipient':
      fitsStage(reader, what, stage)
      return { kind: what, fault: choiceOf(reader, domainFaults, 'what is wrong with it') }
    case 'unauthorised-destination':
      fitsStage(reader, 'recipient', stage)
      return { kind: what }
    case 'pipelining':
    case 'plaintext':
      return { kind: what }
    case 'when':
      return reader.unexpected('what is refused', rejections)
  }
}

function replyRule(draft: PipelineDraft, stage: RestrictionStage, usual: string, form: RegExp): RestrictionRule {
  const { reader } = draft
  const reply = reader.peek().kind === 'string' ? replyOf(reader, usual, form) : usual
  const when = reader.accept('when') ? conditionOf(draft, stage) : undefined
  return { kind: 'reply', reply, ...(when === undefined ? {} : { when }) }
}

function replyOf(reader: TokenReader, example: string, form: RegExp): string {
  const { text, span } = reader.string('a reply')
  return form.test(text) ? text : reader.fail('value', `"${text}" is no reply for this`, span, `"${example}"`)
}

function whenOf(draft: PipelineDraft, stage: RestrictionStage, isThere: boolean): { when?: RestrictionCondition } {
  if (!isThere) return {}
  draft.reader.accept('when')
  return { when: conditionOf(draft, stage) }
}

function conditionOf(draft: PipelineDraft, stage: RestrictionStage): RestrictionCondition {
  const { reader } = draft
  const kind = choiceOf(reader, conditions, 'a condition')
  if (kind === 'authenticated' || kind === 'own-addresses') return { kind }
  if (kind === 'certificate') return certificateOf(draft)
  const subject = kind === 'from' ? 'client' : kind
  fitsStage(reader, subject, stage)
  return { kind: 'table', subject, table: parseTables(draft.policy, 'either', `"${kind}"`) }
}

/** `certificate verified`, `certificate fingerprint <table>`, `certificate name <table>`. */
function certificateOf(draft: PipelineDraft): RestrictionCondition {
  const { reader, policy } = draft
  const part = choiceOf(reader, ['verified', 'fingerprint', 'name'] as const, 'what is asked of it')
  if (part === 'verified') return { kind: 'certificate' }
  const first = reader.peek()
  const table = parseTables(policy, 'either', `"certificate ${part}"`)
  const { source } = table
  const written = source.kind === 'inline' ? [...(source.map?.keys() ?? source.list ?? [])] : []
  const wrong = part === 'fingerprint' ? written.find((one) => !fingerprint.test(one)) : undefined
  if (wrong === undefined) return { kind: 'certificate-table', part, table }
  const hint = 'openssl x509 -in client.pem -noout -fingerprint -sha256'
  return reader.fail('value', `"${wrong}" is not the SHA-256 of a certificate`, spanOf(first, reader.last), hint)
}

const fingerprint = /^[0-9A-F]{2}(?::?[0-9A-F]{2}){31}$/i

const mostTold = 10

/**
 * What its values say now is read; a file that changes is read again by those who ask it. Values are not quoted: the table may be one of
 * passwords, named by mistake, and warnings come to the log and to pages.
 */
function accessTableOf(draft: PipelineDraft, subject: AccessSubject): Table {
  const { reader, policy } = draft
  const first = reader.peek()
  const table = parseTables(policy, 'map', `"check ${subject}"`)
  const wrong = [...valuesNow(policy, table)].filter(([, value]) => parseAccessValue(value) === undefined)
  for (const [key] of wrong.slice(0, mostTold)) {
    const message = `the value of "${key}" says nothing that is known: mail would wait with 451`
    reader.warn('table-content', message, spanOf(first, reader.last), accessWords)
  }
  return table
}

const accessWords = 'OK, REJECT text, DEFER text, 554 text, DUNNO or WARN text'

/** None where they cannot be read: that was told at the declaration, or a program has them. */
function valuesNow({ read }: PolicyDraft, { source }: Table): ReadonlyMap<string, string> {
  if (source.kind === 'inline') return source.map ?? new Map()
  if (source.kind !== 'file' || source.format !== undefined) return new Map()
  try {
    const content = parseTableFile(read(source.path))
    return content.kind === 'map' ? content.map : new Map()
  } catch {
    return new Map()
  }
}

function accessSubjectOf(reader: TokenReader, stage: RestrictionStage): AccessSubject {
  const subject = choiceOf(reader, accessSubjects, 'what is looked up')
  fitsStage(reader, subject, stage)
  return subject
}

/** At DATA there may be several recipients. */
function fitsStage(reader: TokenReader, subject: AccessSubject, stage: RestrictionStage): void {
  if (subject === 'recipient' && stage === 'data')
    reader.fail('value', 'there is no one recipient at DATA', reader.last.span, 'write it in the list `restrict rcpt`')
}

/** `"zone" [answer NETWORKS] [of client | helo | sender]`. */
function listOf(draft: PipelineDraft): DnsblRule {
  const list = dnsblOf(draft)
  if (!draft.reader.accept('of')) return list
  return { ...list, of: choiceOf(draft.reader, ['client', 'helo', 'sender'], 'whose domain') }
}

/** `[delay 5m] [retry 4h] [keep 35d] [network 24 64]`. */
function greylistOf(reader: TokenReader, stage: RestrictionStage): GreylistRule {
  fitsStage(reader, 'recipient', stage)
  let rule = defaultGreylist
  while (!reader.atEnd()) {
    const { span } = reader.peek()
    const word = choiceOf(reader, ['delay', 'retry', 'keep', 'network', 'except'], 'a time of greylisting')
    if (word === 'delay') rule = { ...rule, delayMs: reader.duration('the delay') }
    else if (word === 'retry') rule = { ...rule, retryMs: reader.duration('the time') }
    else if (word === 'keep') rule = { ...rule, keepMs: reader.duration('the time') }
    else if (word === 'network') rule = { ...rule, ipv4Bits: bitsOf(reader, 32), ipv6Bits: bitsOf(reader, 128) }
    else {
      reader.expect('spf', 'behind "except"')
      rule = { ...rule, exceptSpf: true }
    }
    if (rule.retryMs <= rule.delayMs)
      reader.fail(
        'value',
        'an attempt is forgotten before another is let in',
        span,
        'a `retry` longer than the `delay`',
      )
  }
  return rule
}

const defaultGreylist: GreylistRule = {
  kind: 'greylist',
  delayMs: 5 * 60_000,
  retryMs: 4 * 3_600_000,
  keepMs: 35 * 86_400_000,
  ipv4Bits: 24,
  ipv6Bits: 64,
  exceptSpf: false,
}

function bitsOf(reader: TokenReader, most: number): number {
  const { value, span } = reader.number('the bits of a network')
  return value >= 1 && value <= most
    ? value
    : reader.fail('value', `an address of this kind has ${most} bits`, span, 'network 24 64')
}

function sleepOf(reader: TokenReader): number {
  const { span } = reader.peek()
  const ms = reader.duration('the time')
  return ms <= longestSleepMs ? ms : reader.fail('value', 'nobody waits so long', span, 'at most 2m')
}
