import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CIPHERS } from 'node:tls'

import fc from 'fast-check'

import { faultsOf, parseText } from './oracle-fixture.ts'

const rule = 'match for any action "out"\n'
const relay = 'action "out" relay\n'
const pki = 'pki x cert "/c" key "/k"\n'

/** `code@line:column hint` of each diagnostic. */
function told(text: string, files: Readonly<Record<string, string>> = {}): readonly string[] {
  return parseText(text, files).diagnostics.map(
    ({ code, span, hint }) => `${code}@${span.line}:${span.column}${hint === undefined ? '' : ` ${hint}`}`,
  )
}

test('a listener is read with all its options in any order', () => {
  const { draft, diagnostics } = parseText(
    `${pki}table c { joe = "$2b$x" }\nlisten on eth0 tag In hostname h.org auth-optional <c> pki X tls port 2525 inet4 mask-src received-auth no-dsn protocols "TLSv1.3" ciphers "secure"\n${relay}${rule}`,
  )
  assert.deepEqual(
    diagnostics.filter((one) => one.code !== 'no-effect'),
    [],
  )
  const [listener] = draft.listeners
  assert.ok(listener !== undefined && listener.auth.table !== undefined)
  const { auth, at, ...rest } = listener
  assert.equal(auth.kind, 'optional')
  assert.deepEqual([at.line, at.column], [3, 1])
  assert.deepEqual(rest, {
    on: 'eth0',
    port: 2525,
    tls: 'offered',
    verifyClient: false,
    pkis: ['x'],
    maskSource: true,
    receivedAuth: true,
    noDsn: true,
    proxy: false,
    tag: 'In',
    hostname: 'h.org',
    family: 4,
    protocols: 'TLSv1.3',
    ciphers: DEFAULT_CIPHERS,
  })
})

test('what is read and has no effect yet is told', () => {
  const settings =
    'mta limit max-conn-per-host 3 task-hiwat 9\nmta max-deferred 9\nmda limit task-hiwat 9\nscheduler limit max-inflight 9\n'
  const { diagnostics } = parseText(`${settings}${relay}${rule}`)
  assert.deepEqual(
    diagnostics.map((one) => `${one.code}@${one.span.line}`),
    ['no-effect@1', 'no-effect@2', 'no-effect@3', 'no-effect@4'],
  )
})

test('limits of relays add up, and one that lets nothing through is refused', () => {
  const settings = 'mta limit inet4\nmta limit for domain X.org max-conn-per-host 3\nmta limit for domain x.org inet6\n'
  const { draft, diagnostics } = parseText(`${settings}${relay}${rule}`)
  assert.deepEqual(diagnostics, [])
  assert.equal(draft.limits.mtaFamily, 4)
  assert.deepEqual(draft.limits.mtaDomains.get('x.org'), { limits: new Map([['max-conn-per-host', 3]]), family: 6 })
  const refused = parseText(`mta limit max-conn-per-host 0\n${relay}${rule}`)
  assert.deepEqual(
    refused.diagnostics.map((one) => one.message),
    ['max-conn-per-host is at least 1'],
  )
})

test('a listener without a port has the port of its TLS mode', () => {
  const { draft } = parseText(`${pki}listen on lo\nlisten on lo smtps pki x\n${relay}${rule}`)
  assert.deepEqual(
    draft.listeners.map((listener) => listener.port),
    [25, 465],
  )
})

test('a rule without from or for is about local mail only', () => {
  const { draft } = parseText(`${relay}match action "out"\nmatch from auth for rcpt-to "a@b.org" action "out"\n`)
  assert.deepEqual(
    draft.rules.map((one) => one.conditions.map((condition) => condition.kind)),
    [
      ['from-local', 'for-local'],
      ['from-any', 'for-any', 'auth', 'rcpt-to'],
    ],
  )
})

test('a rule is kept as its author wrote it', () => {
  const { draft } = parseText(`${relay}match \\\n  for   domain { "a.org", b.org } \\\n\taction "out" # why\n`)
  assert.equal(draft.rules[0]?.text, 'match for domain { "a.org", b.org } action "out"')
})

test('all settings end in the model', () => {
  const { draft, diagnostics } = parseText(
    [
      'smtp max-message-size 20M',
      'smtp limit max-mails 5 max-rcpt 7',
      'smtp sub-addr-delim "-"',
      'smtp ciphers "HIGH"',
      'queue ttl 2d',
      'bounce warn-interval 1h, 6h',
      'admd "mx.org"',
      'mta max-deferred 9',
      'mta limit max-conn-per-host 3 inet4',
      'mta limit for domain slow.org max-conn-per-domain 1',
      'scheduler limit max-inflight 10',
      'mda limit max-session 4',
      relay + rule,
    ].join('\n'),
  )
  assert.deepEqual(
    diagnostics.filter((one) => one.code !== 'no-effect'),
    [],
  )
  assert.deepEqual(
    [draft.maxMessageBytes, draft.maxMailsPerSession, draft.maxRecipients, draft.subAddressDelimiter, draft.ciphers],
    [20 * 1024 * 1024, 5, 7, '-', 'HIGH'],
  )
  assert.deepEqual([draft.queueTtlMs, draft.bounceWarnMs, draft.admd], [172_800_000, [3_600_000, 21_600_000], 'mx.org'])
  assert.deepEqual(draft.limits, {
    mta: new Map([['max-conn-per-host', 3]]),
    mtaFamily: 4,
    mtaDomains: new Map([['slow.org', { limits: new Map([['max-conn-per-domain', 1]]) }]]),
    mtaMaxDeferred: 9,
    scheduler: new Map([['max-inflight', 10]]),
    mda: new Map([['max-session', 4]]),
  })
})

test('every fault of a file is told in one run, with advice', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['lisen on lo\n', ['unknown-keyword@1:1 did you mean "listen"?']],
    ['listen on lo prot 25\n', ['unknown-keyword@1:14 did you mean "port"?']],
    ['action local relay\n', ['syntax@1:8 "local" is reserved: put it in quotes to use it as a name']],
    ['action 5 relay\n', ['syntax@1:8 a number is not a name: put it in quotes, "5"']],
    ['table t { @a.org }\n', ['syntax@1:11 put it in quotes: "@a.org"']],
    [
      'match for domain <t> action "out"\ntable t { a }\n',
      ['unknown-name@1:18 it is declared in line 2: move that statement above this one'],
    ],
    ['action a relay mail-from "@x.org"\n', ['value@1:26 mail-from "user@example.org"']],
    ['table users { a }\nmatch for domain <usrs> action "out"\n', ['unknown-name@2:18 did you mean "users"?']],
    ['listen on lo tls\n', ['incomplete@1:14 declare `pki NAME cert "..." key "..."` above and add `pki NAME` here']],
    ['match for any\n', ['incomplete@1:11 end it with `action NAME` or `reject`']],
    ['match from "192.0.2.1" for any action "out"\n', ['syntax@1:12 write `from src` before addresses']],
    ['queue ttl 1w\n', ['value@1:11 a number and one of s, m, h, d: 30s, 4h, 5d']],
    ['expire 4d\n', ['old-grammar@1:1 one grammar a file: write `queue ttl`']],
    ['listen on lo port "25"\n', ['value@1:19 write the number without quotes']],
    ['table t file:/none\n', ['missing-file@1:9 create it or correct the path']],
    ['mta limit max-con-per-host 5\n', ['unknown-keyword@1:11 did you mean "max-conn-per-host"?']],
    ['action "x" relay ttl 1d ttl 2d\n', ['duplicate@1:25 keep one of the two']],
    ['include "/none"\n', ['include@1:9 check the path and the permissions']],
  ]
  for (const [text, expected] of cases) assert.deepEqual(told(relay + rule + text), expected.map(shift), text)
})

/** The cases stand behind two lines. */
function shift(expected: string): string {
  return expected
    .replace(/@(\d+)/, (_, line: string) => `@${Number(line) + 2}`)
    .replace(/line (\d+)/, (_, line: string) => `line ${Number(line) + 2}`)
}

test('one fault is one message: a name declared with a fault is not missed later', () => {
  assert.deepEqual(told(`action "out" relay hots x\n${rule}`), ['unknown-keyword@1:20 did you mean "host"?'])
  assert.equal(told(`table t {\n a b = c\n d\n}\n${relay}${rule}match for domain <t> action "out"\n`).length, 1)
})

test('what this version does not carry out is refused by name, never ignored', () => {
  const refused = [
    'filter f proc-exec "/bin/true"\naction "a" relay filter f',
    'action "a" mda "/bin/cat | /bin/cat"',
    'mda wrapper w "/bin/cat"',
    'table t db:/etc/aliases.db',
    'table t other:/etc/other.conf',
  ]
  for (const text of refused) {
    const { diagnostics } = parseText(`${relay}${rule}${text}\n`)
    assert.deepEqual(
      diagnostics.map((one) => one.code),
      ['unsupported'],
      text,
    )
    assert.ok((diagnostics[0]?.hint ?? '') !== '', text)
  }
})

test('files include each other up to sixteen deep', () => {
  const loop = parseText('include "/loop"\n', { '/loop': 'include "/loop"\n' })
  assert.deepEqual(
    loop.diagnostics.map((one) => one.code),
    ['include'],
  )
  const nested = parseText('include "sub/a.conf"\n', {
    '/etc/mail/sub/a.conf': 'include "b.conf"\n',
    '/etc/mail/sub/b.conf': relay + rule.trimEnd(),
  })
  assert.deepEqual([nested.diagnostics, nested.draft.rules.length], [[], 1])
  assert.equal(nested.draft.rules[0]?.at.file, '/etc/mail/sub/b.conf')
})

test('no file makes the parser throw', () => {
  const words = [
    'listen',
    'on',
    'lo',
    'table',
    't',
    '{',
    '}',
    ',',
    '\n',
    'match',
    'for',
    'any',
    'action',
    '"a"',
    'relay',
    '=',
    '<',
    '>',
    '!',
    'pki',
    '5',
    '$x',
    'host',
    'auth',
    'include',
    '"/f"',
    'filter',
    'chain',
    'mta',
    'limit',
    '\\\n',
    '#',
    '"',
  ]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }), (parts) => {
      const { diagnostics } = parseText(parts.join(' '), { '/f': 'table f { a }' })
      for (const one of diagnostics) assert.ok(one.span.line >= 1 && one.span.column >= 1)
    }),
    { numRuns: 500 },
  )
})

test('names of JavaScript objects are names like others', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty']) {
    const { draft, diagnostics } = parseText(
      [
        `table ${name} { ${name} = "${name}" }`,
        `${name} = "${name}"`,
        `pki ${name} cert "/etc/c" key "/etc/k"`,
        `listen on ${name} tag ${name} tls pki ${name}`,
        `action ${name} relay host "${name}" auth <${name}>`,
        `match tag $${name} for domain ${name} action ${name}`,
      ].join('\n'),
    )
    assert.deepEqual(diagnostics, [], name)
    assert.deepEqual([...draft.actions.keys(), ...draft.pkis.keys()], [name, name.toLowerCase()])
    const [fault] = parseText(`listen on lo ${name}\n`).diagnostics
    assert.equal(typeof fault?.hint, 'string', name)
  }
})

/** Found by feeding generated files to smtpd 6.8.0p2 -n. */
test('what OpenSMTPD takes and refuses is taken and refused, statement by statement', () => {
  const before = [
    'proc pr "/bin/cat"',
    'filter f proc-exec "/bin/cat"',
    'table map { a = b }',
    'pki P cert "/c" key "/k"',
    'ca Here cert "/c"',
  ].join('\n')
  const taken = [
    '"quoted" = "x"\ntable t { $quoted }',
    'listen on lo ca HERE',
    'action z relay ca HERE',
    'ca here cert "/d"',
    'pki q. cert "/c" key "/k"',
    'pki x- cert "/c" key "/k"',
    'action z relay helo a helo-src <map>',
    'match auth a from auth action a',
    'match mail-from a from mail-from b action a',
    'match rcpt-to a for rcpt-to b action a',
    'filter g phase helo match rdns regex <map> junk',
    'listen on lo port imap',
    'smtp max-message-size 7E',
    `table t { ${'x'.repeat(8095)} }`,
  ]
  const refused = [
    '"a b" = "x"',
    'x => y',
    'pki a..b cert "/c" key "/k"',
    `pki ${'a'.repeat(64)} cert "/c" key "/k"`,
    'ca "a b" cert "/c"',
    'ca :x cert "/c"',
    'action z forward-only user joe',
    'action z expand-only user joe',
    'action z mbox user joe',
    'action z relay srs\nsrs key x',
    'match from auth auth a action a',
    'match from mail-from a mail-from b action a',
    'filter g chain { g }',
    'proc f "/bin/cat"',
    'smtp max-message-size 8E',
    `table t { ${'x'.repeat(8096)} }`,
  ]
  const verdict = (text: string): boolean => {
    const parsed = parseText(`${before}\naction a relay\n${text}\nmatch for any action a\n`, {}, { strict: true })
    return faultsOf(parsed).filter(({ code }) => code !== 'missing-file').length === 0
  }
  assert.deepEqual([taken.filter((text) => !verdict(text)), refused.filter((text) => verdict(text))], [[], []])
})

test('of two conditions on the same thing the later one counts', () => {
  const rule = (text: string) => parseText(`action a relay\nmatch ${text} action a\n`).draft.rules[0]?.conditions
  const auth = rule('auth joe ! from auth')?.find(({ kind }) => kind === 'auth')
  assert.ok(auth !== undefined && 'table' in auth)
  assert.deepEqual([auth.not, auth.table?.source], [true, { kind: 'inline', list: ['joe'] }])
  const sender = rule('mail-from a from mail-from b')?.filter(({ kind }) => kind === 'mail-from')
  assert.deepEqual(
    sender?.map((one) => 'table' in one && one.table?.source),
    [{ kind: 'inline', list: ['b'] }],
  )
})
