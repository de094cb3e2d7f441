import fc from 'fast-check'

import { convertToModern } from './convert.ts'
import { ConfigurationError, renderDiagnostics, type Diagnostic } from './diagnostic.ts'
import { loadConfiguration } from './load.ts'
import type { Configuration } from './model.ts'
import { faultsOf, parseText } from './oracle-fixture.ts'
import { toJson } from './to-json.ts'

/** For tests: files as a hurried, a confused or a malicious author writes them. They stand in /fuzz, and only there. */
export interface FuzzInput {
  readonly smtpdConf: string
  readonly pipelineConf: string
  readonly included: string
}

/**
 * Loads the files, prints and converts them.
 * @returns the configuration, or undefined when it was refused with messages that can be read
 * @throws what is a fault of ours
 */
export async function judge({ smtpdConf, pipelineConf, included }: FuzzInput): Promise<Configuration | undefined> {
  const texts = new Map([
    ['/fuzz/smtpd.conf', smtpdConf],
    ['/fuzz/pipeline.conf', pipelineConf],
    ['/fuzz/included.conf', included],
  ])
  const paths = { smtpdConf: '/fuzz/smtpd.conf', pipelineConf: '/fuzz/pipeline.conf' }
  const loaded = await refusalOr(() => loadConfiguration({ ...paths, hostname: 'mail.example.org', texts }))
  if (loaded !== undefined) {
    readable(loaded.warnings)
    JSON.stringify(toJson(loaded.configuration))
  }
  await convert(paths.smtpdConf, texts)
  return loaded?.configuration
}

/** What was an old file without a fault is a modern one without a fault. */
async function convert(path: string, texts: ReadonlyMap<string, string>): Promise<void> {
  const read = (asked: string): string => {
    const text = texts.get(asked)
    if (text === undefined) throw Object.assign(new Error(`no ${asked}`), { code: 'ENOENT' })
    return text
  }
  const converted = await refusalOr(() => convertToModern(path, { read }))
  if (converted === undefined || /^\s*include\b/m.test(texts.get(path) ?? '')) return
  readable(converted.notes)
  const [fault] = faultsOf(parseText(converted.text)).filter(({ code }) => ofLanguage.has(code))
  if (fault !== undefined) throw new Error(`converted into a file with a fault: ${renderDiagnostics([fault])}`)
}

/** Not what this host lacks, and not values that only the modern grammar looks at, like the names of pkis. */
const ofLanguage = new Set([
  'syntax',
  'character',
  'unterminated-string',
  'unknown-keyword',
  'old-grammar',
  'unknown-name',
])

async function refusalOr<Value>(make: () => Value | Promise<Value>): Promise<Value | undefined> {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    readable(error.diagnostics)
    return undefined
  }
}

function readable(diagnostics: readonly Diagnostic[]): void {
  for (const one of diagnostics) {
    const { span, message, hint = '' } = one
    const faulty =
      typeof message !== 'string' || typeof hint !== 'string' || /undefined|\[object|native code/.test(hint)
    const inside =
      span.line === 0 || (span.column >= 1 && span.column <= span.sourceLine.length + 2 && span.length >= 1)
    if (faulty || !inside) throw new Error(`not readable: ${JSON.stringify(one)}`)
  }
  renderDiagnostics(diagnostics)
}

/** The first ones are what belongs there. */
const values: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    NAME: ['a', 'b', '"c d"', '__proto__', 'constructor', 'toString', '"hasOwnProperty"', '5', 'local', ''],
    LIST: ['x.org', '{ x.org, "*.y.org" }', '<list>', '<__proto__>', '<map>', '<constructor>', '{ 5 }', '{}', '$m', ''],
    MAP: ['<map>', '{ "a" = "b", __proto__ = c }', '<constructor>', '<list>', '{ a = b, c }', '{ a b }', 'x', '$m', ''],
    ACTION: ['relay', 'maildir', 'lmtp "h:24" rcpt-to', 'maildir "/m/%{user.username}" junk', 'mbox', 'local'],
    FILE: ['"/dev/null"', '/dev/null', '"/fuzz/none"', '"file:/dev/null"', '"db:/x"', 'valueOf', '"/dev"'],
    HOST: [
      '"smtp://h"',
      'h',
      '"queue://filter"',
      '"smtps://l@[::1]:0"',
      '"lmtp://h:24"',
      '"x://"',
      '"smtp://localhost:10024"',
    ],
    TEXT: ['"x y"', 'x', '"%{user.username}"', '"\\"', "'it\\'s'", '""', '"550 no"'],
    TIME: ['1d', '4h', '30s', '0s', '99999999999d', '5', '1w', '"30s"'],
    NUMBER: [
      '25',
      '1',
      '2525',
      '0',
      '65536',
      '-1',
      '"25"',
      '99999999999999999999',
      '35M',
      '1.5G',
      'smtp',
      'submission',
    ],
    FROM: [
      'from any',
      'from local',
      'from src { "10.0.0.0/8" }',
      'from auth',
      'from rdns',
      '! from mail-from x',
      'from 10.0.0.1',
      '',
    ],
    FOR: [
      'for any',
      'for local',
      'for domain x.org',
      'for rcpt-to { "@x.org" }',
      '! for domain regex "x.*"',
      'for x.org',
      '',
    ],
    WORD: [
      '',
      'tls',
      'auth',
      'inet4',
      'tag',
      'tagged',
      'reject',
      '!',
      'host',
      'alias',
      'any',
      'verify',
      'mask-src',
      'no-dsn',
    ],
  }),
)

const preface = {
  modern: [
    'table list { x.org }',
    'table map { "a" = "b" }',
    'action a relay',
    'm = "x.org"',
    'match from any for any action a',
  ],
  old: ['table list { x.org }', 'table map { "a" = "b" }', 'm = "x.org"', 'accept from any for any relay'],
  pipeline: ['table "more" { joe = "1:1:/h" }'],
} as const

const templates = {
  modern: [
    'table NAME LIST',
    'table NAME MAP',
    'table NAME FILE',
    'm = TEXT',
    '__proto__ = "x"',
    'include "included.conf"',
    'listen on lo port NUMBER tag NAME WORD',
    'listen on NAME WORD hostname TEXT',
    'listen on lo tls pki a auth MAP',
    'listen on socket tag NAME WORD',
    'pki a cert FILE key FILE',
    'action NAME relay host HOST ttl TIME',
    'action NAME relay host HOST auth MAP src LIST helo NAME WORD',
    'action NAME ACTION alias MAP user NAME',
    'action NAME ACTION virtual MAP ttl TIME',
    'action NAME mda TEXT userbase MAP',
    'match FROM FOR action NAME',
    'match FROM FOR helo LIST WORD reject',
    'match tag LIST FROM FOR mail-from regex LIST action NAME',
    'match auth FOR ! helo LIST rcpt-to LIST action NAME',
    'filter NAME phase helo match ! rdns disconnect TEXT',
    'filter NAME phase mail-from match mail-from LIST reject TEXT',
    'filter NAME chain { NAME, NAME }',
    'filter NAME proc-exec TEXT',
    'smtp limit max-rcpt NUMBER',
    'smtp max-message-size NUMBER',
    'queue ttl TIME',
    'srs key TEXT',
    'bounce warn-interval TIME , TIME',
    'mta limit for domain NAME max-conn-per-host NUMBER',
    'WORD NAME LIST WORD',
  ],
  old: [
    'table NAME LIST',
    'table NAME MAP',
    'table NAME FILE',
    'm = TEXT',
    'constructor = "x"',
    'include "included.conf"',
    'listen on lo port NUMBER tag NAME WORD',
    'listen on lo secure pki a auth MAP',
    'pki a certificate FILE key FILE',
    'accept from any for domain LIST deliver to maildir TEXT',
    'accept tagged NAME for any relay via HOST as NAME expire TIME',
    'accept tagged NAME for any relay via "tls+auth://l@h" auth MAP',
    'accept from source LIST for local alias MAP deliver to lmtp TEXT as NAME',
    'accept sender ! LIST recipient LIST FOR relay WORD',
    'accept FOR relay backup NAME hostname NAME',
    'accept for local forward-only',
    'reject FROM WORD FOR',
    'expire TIME',
    'limit mta for domain NAME max-conn-per-host NUMBER',
    'limit session max-rcpt NUMBER',
    'max-message-size NUMBER',
    'bounce-warn TIME , TIME',
    'WORD NAME LIST WORD',
  ],
  pipeline: [
    'table NAME LIST',
    'table NAME static:x',
    'table NAME environ:MAIL_',
    'table NAME tcp:h:1',
    'table NAME socketmap:inet:h:1:m',
    'table NAME regexp:FILE',
    'table NAME sqlite:FILE',
    'queue NAME tag NAME concurrency NUMBER timeout TIME',
    'queue filter answers HOST',
    'dkim domain NAME selector NAME key FILE expire TIME',
    'spam junk NUMBER header NAME subject TEXT',
    'spam for domain LIST junk NUMBER',
    'spam clean mail-from LIST bypass',
    'virus clamd "h:3310" timeout TIME',
    'users from MAP lmtp',
    'users from MAP passwd FILE verify-mailbox',
    'login from MAP , dovecot "h:1"',
    'login http TEXT secret file FILE timeout TIME',
    'login oauth introspect TEXT client NAME secret file FILE user field NAME',
    'webhook TEXT events NAME held secret file FILE',
    'auth mechanisms plain login',
    'auth without-tls on',
    'acme directory TEXT email TEXT domains TEXT certificate FILE key FILE dns hook FILE',
    'relocated MAP',
    'quota status "h:1" timeout TIME',
    'canonical sender MAP headers for any',
    'masquerade domains NAME NAME except users LIST',
    'append-domain NAME',
    'header match tag NAME TEXT replace TEXT',
    'body match tag NAME TEXT replace TEXT',
    'restrict rcpt tag NAME permit from LIST',
    'restrict mail check sender MAP',
    'restrict helo reject helo NAME',
    'restrict rcpt reject TEXT when recipient LIST',
    'restrict connect dnsbl NAME score NUMBER',
    'restrict data sleep TIME',
    'interface NAME is TEXT',
    'socket TEXT is TEXT',
    'external HOST is "h:1"',
    'filter protocol NAME "0.6"',
    'resolver TEXT',
    'trusted proxy LIST',
    'hostname NAME',
    'constructor TEXT',
    'log level NAME',
    'mda enable',
    'forward files TEXT',
  ],
} as const

function fileOf(grammar: keyof typeof templates): fc.Arbitrary<string> {
  const statements = templates[grammar].map((template) =>
    fc.tuple(...template.split(' ').map((word) => wordOf(word))).map((words) => words.join(' ')),
  )
  const line = fc.oneof({ weight: 1, arbitrary: fc.constantFrom(...preface[grammar]) }, ...statements)
  return fc
    .tuple(fc.boolean(), fc.array(line, { maxLength: grammar === 'pipeline' ? 2 : 6 }))
    .map(([whole, lines]) => `${[...(whole ? preface[grammar] : []), ...lines].join('\n')}\n`)
}

/** Mostly one that belongs there. */
function wordOf(word: string): fc.Arbitrary<string> {
  const known = values.get(word)
  if (known === undefined) return fc.constant(word)
  return fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...known.slice(0, 2)) }, fc.constantFrom(...known))
}

/** Whole files of words that the grammars know, in and out of place, names of JavaScript's own objects among them. */
export const generatedInputs: fc.Arbitrary<FuzzInput> = fc.oneof(
  fc.record({ smtpdConf: fileOf('modern'), pipelineConf: fileOf('pipeline'), included: fileOf('modern') }),
  fc.record({ smtpdConf: fileOf('old'), pipelineConf: fileOf('pipeline'), included: fileOf('old') }),
)

const pieces = [
  '"',
  "'",
  '\\',
  '\\\n',
  '\\ \n',
  '\n',
  '{',
  '}',
  '<',
  '>',
  '!',
  '=',
  '=>',
  ',',
  '#',
  '$',
  '$m',
  '(',
  ')',
  '-',
  '0',
  '\0',
  '\r',
  '\f',
  '\u{A0}',
  '\u{FEFF}',
  '\u{1F4E7}',
  '\u{D800}',
  ' ',
  '\t',
  '__proto__',
  'include "smtpd.conf"\n',
]

interface Damage {
  readonly at: number
  readonly length: number
  readonly piece: string
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.constantFrom(0, 0, 0, 1, 1, 2, 10, 100),
  piece: fc.oneof(
    fc.constantFrom(...pieces),
    fc.constantFrom(...(values.get('NAME') ?? [])),
    fc.constant(''),
    fc.string({ maxLength: 3 }),
  ),
})

function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(damage, { minLength: 1, maxLength: 6 })).map(([whole, all]) =>
    all.reduce((left, { at, length, piece }) => {
      const place = Math.floor(at * left.length)
      return left.slice(0, place) + piece + left.slice(place + length)
    }, whole),
  )
}

/** One piece very often, in a statement that takes it or not. */
const tortured: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(
      '',
      'table t { a ',
      'match for domain ',
      'accept for any ',
      'm = ',
      'm = "a"\ntable t { ',
      'listen on ',
    ),
    fc.constantFrom(...pieces, 'a, ', 'a\n', '{ a', 'for any ', '"a" = b, ', 'a\\'),
    fc.constantFrom(1, 20, 500, 9000),
    fc.constantFrom('', '}', '"', '\n', ' }\naction x relay\nmatch for any action x\n'),
  )
  .map(([before, piece, times, behind]) => before + piece.repeat(times) + behind)

/** The same with damage, or one of `texts` with damage, or one thing very often. */
export function mutatedInputs(texts: readonly string[]): fc.Arbitrary<FuzzInput> {
  const given = texts.length === 0 ? [] : [{ weight: 6, arbitrary: damaged(fc.constantFrom(...texts)) }]
  const smtpdConf = fc.oneof(
    ...given,
    { weight: 3, arbitrary: damaged(fileOf('modern')) },
    { weight: 3, arbitrary: damaged(fileOf('old')) },
    { weight: 1, arbitrary: tortured },
  )
  const included = fc.oneof(fc.constant('include "smtpd.conf"\ninclude "smtpd.conf"\n'), damaged(fileOf('modern')))
  return fc.record({ smtpdConf, pipelineConf: damaged(fileOf('pipeline')), included })
}
