import assert from 'node:assert/strict'
import { test } from 'node:test'

import { convertToModern } from './convert.ts'
import { ConfigurationError } from './diagnostic.ts'
import { parseText } from './oracle-fixture.ts'

const path = '/etc/mail/smtpd.conf'

function convert(...lines: readonly string[]): string {
  const read = (asked: string): string => {
    if (asked === path) return lines.join('\n')
    throw Object.assign(new Error(`no ${asked}`), { code: 'ENOENT' })
  }
  return convertToModern(path, { read }).text
}

test('comments, empty lines and blanks stay, and a rule for local clients becomes two', () => {
  const text = convert(
    '\u{FEFF}# who we are\r',
    '',
    'pki x certificate "/c"   key "/k" # both',
    'table action { a = b }',
    '  accept for any relay # out',
    '# end',
  )
  assert.deepEqual(text.split('\n'), [
    '# who we are',
    '',
    'pki x cert "/c"   key "/k" # both',
    'table "action" { a = b }',
    '  action "outbound" relay',
    '  match for any action "outbound"',
    '  match from auth for any action "outbound" # out',
    '# end',
  ])
})

test('macros stay where their words did not change', () => {
  const text = convert(
    'if = "eth0"',
    'how = "mask-source port 25"',
    'listen on $if $how',
    'dom = "{ a.org, b.org }"',
    'accept from any for domain $dom relay',
  )
  assert.match(text, /^listen on \$if mask-src port 25$/m)
  assert.match(text, /^match from any for domain \{ "a.org", "b.org" \} action "outbound"$/m)
})

test('every setting is written as it is called now', () => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    ['expire 4d', 'queue ttl 4d'],
    ['bounce-warn 1h, 6h', 'bounce warn-interval 1h, 6h'],
    ['max-message-size 35M', 'smtp max-message-size 35M'],
    ['max-mta-deferred 5', 'mta max-deferred 5'],
    ['subaddressing-delimiter "-"', 'smtp sub-addr-delim "-"'],
    ['ciphers "HIGH"', 'smtp ciphers "HIGH"'],
    ['limit session max-rcpt 5', 'smtp limit max-rcpt 5'],
    ['limit mta for domain a.org inet4', 'mta limit for domain a.org inet4'],
    ['limit scheduler max-inflight 5', 'scheduler limit max-inflight 5'],
    ['ca y certificate "/ca"', 'ca y cert "/ca"'],
    ['pki x certificate "/c" key "/k"\nlisten on lo secure', 'listen on lo tls pki "x"', 'listen on lo smtps pki "x"'],
    ['pki x certificate "/c" key "/k" ca "/a"', 'pki x cert "/c" key "/k"', 'ca "x" cert "/a"'],
    ['listen on lo port smtp', 'listen on lo port smtp'],
  ]
  for (const [old, ...lines] of cases) {
    const text = convert(old, 'accept for any relay')
    for (const line of lines) assert.ok(text.split('\n').includes(line), `${line}\n---\n${text}`)
    const { diagnostics } = parseText(text)
    assert.deepEqual(
      diagnostics.filter((one) => one.severity === 'error').map((one) => one.message),
      [],
      text,
    )
  }
})

test('the conditions of a rule mean what they meant', () => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    ['reject', 'match for local reject', 'match from auth for local reject'],
    ['reject from any sender ! "@b.c"', 'match from any ! mail-from "@b.c" for local reject'],
    ['reject authenticated for any', 'match from auth for any reject'],
    ['reject ! authenticated for any', 'match ! auth for any reject'],
    ['reject from any authenticated', 'match from any auth for local reject'],
    ['reject from source 10.0.0.0/8', 'match from src "10.0.0.0/8" ! auth for local reject'],
    [
      'reject from ! source 10.0.0.0/8',
      'match ! from src "10.0.0.0/8" ! auth for local reject',
      'match from auth for local reject',
    ],
    ['reject from ! local', 'match ! from local ! auth for local reject'],
    ['reject from ! any', '# no mail ever matched this rule: reject from ! any'],
  ]
  for (const [old, ...lines] of cases) assert.deepEqual(convert(old).split('\n'), lines)
})

test('a relay is as strict about TLS as it was', () => {
  const relay = (rule: string): string =>
    convert('table t { l = "u:p" }', `accept for any ${rule}`).split('\n')[1] ?? ''
  assert.equal(relay('relay via tls://h expire 2h'), 'action "relay-h" relay host "smtp+tls://h" tls no-verify ttl 2h')
  assert.equal(
    relay('relay via smtps+auth://l@h auth <t> verify'),
    'action "relay-h" relay host "smtps://l@h" auth <t> tls',
  )
  assert.match(relay('relay via secure://h'), /^# the old rule said secure:\/\//)
  assert.match(
    convert('accept for any relay via secure://h'),
    /^action "relay-h" relay host \{ "smtps:\/\/h", "smtp\+tls:\/\/h" \} tls no-verify$/m,
  )
  assert.match(relay('relay as "@x.org"'), /^# the old rule also said: as "@x.org"/)
})

test('rules that do the same share their action', () => {
  const text = convert('accept from any for domain a.org relay', 'accept from any for domain b.org relay backup')
  assert.deepEqual(
    text.split('\n').filter((line) => line.startsWith('action')),
    ['action "outbound" relay', 'action "outbound-2" relay backup'],
  )
})

test('a file with a fault, or of the modern grammar, is not converted', () => {
  assert.throws(() => convert('accept for any relay', 'accept tag x relay'), ConfigurationError)
  assert.throws(() => convert('match for any reject'), /already/)
})
