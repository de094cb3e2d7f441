import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pipelineKeywords } from './keywords.ts'
import { Lexer } from './lexer.ts'
import type { RestrictionRule } from './model.ts'
import { parseText } from './oracle-fixture.ts'
import { parsePipeline } from './pipeline-grammar.ts'
import { TokenReader } from './token-reader.ts'

const policy = 'table nets { 10.0.0.0/8 }\ntable access { "a@b.example" = "REJECT" }\n'

const greylist = {
  kind: 'greylist',
  delayMs: 300_000,
  retryMs: 14_400_000,
  keepMs: 3_024_000_000,
  ipv4Bits: 24,
  ipv6Bits: 64,
  exceptSpf: false,
} as const

function parse(text: string) {
  const { draft } = parseText(policy)
  const lexer = new Lexer('/etc/mail/pipeline.conf', { keywords: pipelineKeywords, read: () => text })
  return { ...parsePipeline(new TokenReader(lexer), draft), diagnostics: lexer.diagnostics }
}

test('each rule is read as it is written, with its place and its text', () => {
  const rules: readonly (readonly [string, Partial<RestrictionRule> & object])[] = [
    ['permit', { kind: 'permit' }],
    ['permit authenticated', { kind: 'permit', when: { kind: 'authenticated' } }],
    ['permit own-addresses', { kind: 'permit', when: { kind: 'own-addresses' } }],
    ['permit certificate verified', { kind: 'permit', when: { kind: 'certificate' } }],
    ['permit when certificate verified', { kind: 'permit', when: { kind: 'certificate' } }],
    ['reject', { kind: 'reply', reply: '554 5.7.1 Access denied' }],
    ['reject "550 No"', { kind: 'reply', reply: '550 No' }],
    ['reject when authenticated', { kind: 'reply', reply: '554 5.7.1 Access denied', when: { kind: 'authenticated' } }],
    ['defer "451 4.7.1 Later"', { kind: 'reply', reply: '451 4.7.1 Later' }],
    ['reject dnsbl "Zen.Example.org."', { kind: 'dnsbl', zone: 'zen.example.org' }],
    ['dnsbl "zen.example.org" score 2.5', { kind: 'dnsbl', zone: 'zen.example.org', score: 2.5 }],
    ['dnsbl "good.example.org" score -3', { kind: 'dnsbl', zone: 'good.example.org', score: -3 }],
    ['reject dnsbl "dbl.example.org" of sender', { kind: 'dnsbl', zone: 'dbl.example.org', of: 'sender' }],
    ['reject dnsbl-score 5', { kind: 'dnsbl-score', atLeast: 5 }],
    ['reject client unknown', { kind: 'client', fault: 'unknown' }],
    ['reject helo non-fqdn', { kind: 'helo', fault: 'non-fqdn' }],
    ['reject sender unlisted', { kind: 'sender', fault: 'unlisted' }],
    ['reject recipient unknown-domain', { kind: 'recipient', fault: 'unknown-domain' }],
    ['reject unauthorised-destination', { kind: 'unauthorised-destination' }],
    ['reject pipelining', { kind: 'pipelining' }],
    ['reject plaintext', { kind: 'plaintext' }],
    ['sleep 1s', { kind: 'sleep', ms: 1_000 }],
    ['defer greylist', { ...greylist }],
    ['defer greylist except spf', { ...greylist, exceptSpf: true }],
    [
      'defer greylist network 32 56 delay 1m retry 2h keep 10d',
      { ...greylist, delayMs: 60_000, retryMs: 7_200_000, keepMs: 864_000_000, ipv4Bits: 32, ipv6Bits: 56 },
    ],
  ]
  for (const [text, rule] of rules) {
    const { settings, diagnostics } = parse(`\nrestrict rcpt ${text}  # why\n`)
    assert.deepEqual(diagnostics, [], text)
    const at = { file: '/etc/mail/pipeline.conf', line: 2, column: 1 }
    assert.deepEqual(settings.restrictions, [{ stage: 'rcpt', rule, text: `restrict rcpt ${text}`, at }])
  }
})

test('tables, scopes and stages stay in the order of the file', () => {
  const { settings, diagnostics } = parse(
    [
      'restrict delay off',
      'restrict connect on "eth0:25" permit from <nets>',
      'restrict helo on "[::1]:2525" reject when helo "*.dyn.example"',
      'restrict mail tag Submission check sender <access>',
      'restrict rcpt reject dnsbl "a.example" answer { 127.0.0.2, 127.0.0.4/31 }',
      'restrict data permit',
    ].join('\n'),
  )
  assert.deepEqual(diagnostics, [])
  assert.equal(settings.delayRefusals, false)
  assert.deepEqual(
    settings.restrictions.map(({ stage, for: choice }) => [stage, choice]),
    [
      ['connect', { kind: 'listener', on: 'eth0', port: 25 }],
      ['helo', { kind: 'listener', on: '::1', port: 2525 }],
      ['mail', { kind: 'tag', tag: 'Submission' }],
      ['rcpt', undefined],
      ['data', undefined],
    ],
  )
})

test('mistakes are told with their place and advice', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['restrict', 'syntax@1:9', 'one of: connect'],
    ['restrict recpt permit', 'unknown-keyword@1:10', 'did you mean "rcpt"?'],
    ['restrict delay maybe', 'unknown-keyword@1:16', 'one of: on, off'],
    ['restrict rcpt allow', 'unknown-keyword@1:15', 'one of: permit'],
    ['restrict rcpt on "eth0:99999" permit', 'value@1:18', '"eth0:25"'],
    ['restrict rcpt permit from', 'syntax@1:26', ''],
    ['restrict rcpt permit from <netz>', 'unknown-name@1:27', 'did you mean "nets"?'],
    ['restrict rcpt permit authentificated', 'unknown-keyword@1:22', 'did you mean "authenticated"?'],
    [
      'restrict rcpt reject unauthorized-destination',
      'unknown-keyword@1:22',
      'did you mean "unauthorised-destination"?',
    ],
    ['restrict rcpt reject helo fqdn', 'unknown-keyword@1:27', 'one of: invalid'],
    ['restrict rcpt reject "no code"', 'value@1:22', '"554 5.7.1'],
    ['restrict rcpt defer "554 for good"', 'value@1:21', '"450 4.7.1'],
    ['restrict rcpt check sender <nets>', 'table-type@1:28', ''],
    ['restrict rcpt check sender { "a@b.c" = "FILTER x:y" }', 'table-content@1:28', 'OK, REJECT'],
    ['restrict rcpt dnsbl "zen.example.org"', 'syntax@1:38', ''],
    ['restrict rcpt reject dnsbl "localhost"', 'value@1:28', '"zen.spamhaus.org"'],
    ['restrict rcpt reject dnsbl "a.example" of recipient', 'unknown-keyword@1:43', 'one of: client'],
    ['restrict rcpt sleep 1', 'value@1:21', 'a number and one of'],
    ['restrict rcpt sleep 1h', 'value@1:21', 'at most 2m'],
    ['restrict data defer greylist', 'value@1:21', 'write it in the list'],
    ['restrict rcpt defer greylist for 5m', 'unknown-keyword@1:30', 'one of: delay'],
    ['restrict rcpt defer greylist except dkim', 'unknown-keyword@1:37', 'one of: spf'],
    ['restrict rcpt defer greylist delay 5h', 'value@1:30', 'a `retry` longer'],
    ['restrict rcpt defer greylist network 24 129', 'value@1:41', 'network 24 64'],
    ['restrict data reject recipient non-fqdn', 'value@1:22', 'write it in the list'],
    ['restrict data reject unauthorised-destination', 'value@1:22', 'write it in the list'],
  ]
  for (const [text, place, hint] of cases) {
    const [one] = parse(text).diagnostics
    assert.equal(`${one?.code}@${one?.span.line}:${one?.span.column}`, place, text)
    assert.ok((one?.hint ?? '').startsWith(hint), `${text}: ${one?.hint}`)
  }
})

test('a table of passwords that is named by mistake is not quoted, and not told to its end', () => {
  const entries = Array.from({ length: 100 }, (_, index) => `"label${index}" = "jane:opensesame"`)
  const { diagnostics } = parse(`restrict rcpt check sender { ${entries.join(', ')} }`)
  assert.equal(diagnostics.length, 10)
  assert.match(diagnostics[0]?.message ?? '', /^the value of "label0" says nothing/)
  assert.doesNotMatch(diagnostics.map(({ message }) => message).join(), /opensesame/)
})
