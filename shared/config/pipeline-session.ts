import { isExternal } from './external-table.ts'
import type { Token } from './lexer.ts'
import { choiceOfListeners } from './listener-choice.ts'
import type { ListenerChoice } from './listener-choice.ts'
import type { Table } from './model.ts'
import { choiceOf, finish, positive, sizeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import type { DataRate, SessionSettings } from './session-rules.ts'
import { parseTables } from './table-grammar.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

/** How the sessions of a listener are led, and where their patience ends. Each may be for one listener: `[on "eth0:25" | tag NAME]`. */
export const sessionStatements: Readonly<Record<string, ParseStatement>> = {
  limit: parseLimit,
  greeting: statement(({ reader }) => {
    reader.expect('wait', 'behind "greeting"')
    return { greetingWaitMs: reader.accept('off') ? 0 : waitOf(reader) }
  }),
  'client-hello': statement(({ reader }) => {
    reader.expect('wait', 'behind "client-hello"')
    return { clientHelloMs: reader.accept('off') ? 0 : waitOf(reader) }
  }),
  'client-certificate': statement(({ reader }) => ({
    asksCertificate: choiceOf(reader, ['ask', 'off'] as const, 'ask or off') === 'ask',
  })),
  banner: statement(({ reader }) => ({ banner: bannerOf(reader) })),
  helo: statement(({ reader }) => {
    reader.expect('required', 'behind "helo"')
    return { heloRequired: isOn(reader) }
  }),
  vrfy: statement(({ reader }) => ({ vrfy: isOn(reader) })),
  'bare-line-ends': statement(({ reader }) => ({
    bareLineEnds: choiceOf(reader, ['reject', 'repair', 'repair-users'] as const, 'what becomes of them'),
  })),
}

type ReadSetting = (draft: PipelineDraft) => SessionSettings

/** `limit [on "eth0:25" | tag NAME] SUBJECT VALUE ...`. */
function parseLimit(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  const choice = choiceOfListeners(reader)
  do {
    const subject = reader.peek()
    const known = subject.kind !== 'number' && Object.hasOwn(limits, subject.text)
    const read = known ? limits[subject.text] : undefined
    if (read === undefined) return reader.unexpected('what is limited', Object.keys(limits))
    reader.next()
    add(draft, { start, choice, word: subject, settings: read(draft) })
  } while (!reader.atEnd())
  finish(draft, {})
}

const limits: Readonly<Record<string, ReadSetting>> = {
  connections: connectionsOf,
  errors: ({ reader }) => ({ errors: positive(reader) }),
  commands: ({ reader }) => ({ commands: positive(reader) }),
  'recipients-refused': ({ reader }) => ({ recipientsRefused: positive(reader) }),
  'auth-failures': ({ reader }) => ({ authFailures: positive(reader) }),
  line: ({ reader }) => ({ lineBytes: sizeBetween(reader, 512, 12_288) }),
  header: ({ reader }) => ({ headerBytes: sizeBetween(reader, 1_024, 64 * 1_048_576) }),
  message: ({ reader }) => ({ messageBytes: sizeBetween(reader, 1_024, 1024 ** 4) }),
  hops: ({ reader }) => ({ hops: positive(reader) }),
  idle: ({ reader }) => ({ idleMs: reader.duration('the idle time') }),
  command: ({ reader }) => ({ commandMs: reader.duration('the time for a command line') }),
  session: ({ reader }) => ({ sessionMs: reader.duration('the time without a message') }),
  data: ({ reader }) => ({ dataMs: reader.duration('the time for a message') }),
  'data-idle': ({ reader }) => ({ dataIdleMs: reader.duration('the idle time inside a message') }),
  'data-rate': ({ reader }) => ({ dataRate: rateOf(reader) }),
}

/** `N [per client N] [per network N] [except <networks>]`. */
function connectionsOf(draft: PipelineDraft): SessionSettings {
  const { reader } = draft
  let settings: SessionSettings = { connections: positive(reader) }
  while (reader.accept('per')) {
    if (reader.accept('client')) settings = { ...settings, connectionsPerClient: positive(reader) }
    else if (reader.accept('network')) settings = { ...settings, connectionsPerNetwork: positive(reader) }
    else reader.unexpected('client or network', ['client', 'network'])
  }
  const { except } = exceptOf(draft)
  return except === undefined ? settings : { ...settings, connectionsExcept: except }
}

/** `256 [after 1m]`, octets a second. */
function rateOf(reader: TokenReader): DataRate {
  const bytesPerSecond = sizeOf(reader)
  return { bytesPerSecond, afterMs: reader.accept('after') ? reader.duration('the time before it counts') : 60_000 }
}

/** `[except <table>]`: one that answers at once, as a client waits at the door for it. */
export function exceptOf(draft: PipelineDraft): { readonly except?: Table } {
  if (!draft.reader.accept('except')) return {}
  const { span } = draft.reader.peek()
  const table = parseTables(draft.policy, 'list', '"except"')
  if (!isExternal(table)) return { except: table }
  const hint = 'name its entries here, { 10.0.0.0/8, 192.0.2.7 }, or a table that is a file of them'
  return draft.reader.fail('table-type', 'this table is asked a program or a server, at each connection', span, hint)
}

function statement(read: ReadSetting): ParseStatement {
  return (draft) => {
    const { reader } = draft
    const start = reader.next()
    const choice = choiceOfListeners(reader)
    add(draft, { start, choice, word: start, settings: read(draft) })
    finish(draft, {})
  }
}

interface Stated {
  readonly start: Token
  readonly choice: ListenerChoice | undefined
  /** What is said, for a message. */
  readonly word: Token
  readonly settings: SessionSettings
}

function add(draft: PipelineDraft, { start, choice, word, settings }: Stated): void {
  const { sessions } = draft.settings
  const known = sessions.find(
    (rule) =>
      JSON.stringify(rule.for) === JSON.stringify(choice) && Object.keys(settings).some((key) => key in rule.settings),
  )
  if (known !== undefined) {
    const hint = `keep one of the two: the other is in line ${known.at.line}`
    draft.reader.fail('duplicate', `"${word.text}" is stated already for the same listeners`, word.span, hint)
  }
  const rule = { at: positionOf(start), ...(choice === undefined ? {} : { for: choice }), settings }
  draft.settings = { ...draft.settings, sessions: [...sessions, rule] }
}

function isOn(reader: TokenReader): boolean {
  return choiceOf(reader, ['on', 'off'] as const, 'on or off') === 'on'
}

function waitOf(reader: TokenReader): number {
  const token = reader.peek()
  const ms = /^(\d{1,5})ms$/.exec(token.text)?.[1]
  const waitMs =
    ms === undefined || !reader.atString() ? reader.duration('the wait') : Number(reader.next().text.slice(0, -2))
  if (waitMs > 30_000)
    reader.fail('value', 'clients would give up', token.span, 'at most 30s; 100ms finds the impatient')
  return waitMs
}

function sizeBetween(reader: TokenReader, least: number, most: number): number {
  const { span } = reader.peek()
  const octets = sizeOf(reader)
  return octets >= least && octets <= most
    ? octets
    : reader.fail('value', `${octets} octets are not between ${least} and ${most}`, span)
}

function bannerOf(reader: TokenReader): string {
  const { text, span } = reader.string('the text of the greeting')
  if (!/^[\x20-\x7e]{1,400}$/.test(text)) reader.fail('value', 'a greeting has 1 to 400 visible ASCII characters', span)
  const unknown = /%\{([^}]*)\}/g
  for (const [macro, name] of text.matchAll(unknown)) {
    if (name !== 'hostname') reader.fail('value', `there is no ${macro} in a greeting`, span, 'write %{hostname}')
  }
  // RFC 5321 §4.2: the greeting begins with the name of the host.
  return text.startsWith('%{hostname}')
    ? text
    : reader.fail('value', 'a greeting begins with the name of this host', span, `"%{hostname} ${text}"`)
}
