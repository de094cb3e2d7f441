import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Diagnostic } from './diagnostic.ts'
import { pipelineKeywords } from './keywords.ts'
import { Lexer } from './lexer.ts'
import { parseText } from './oracle-fixture.ts'
import { defaultPipeline, parsePipeline, type PipelineDraft } from './pipeline-grammar.ts'
import { TokenReader } from './token-reader.ts'

const policy =
  'proc guard "/bin/guard"\nfilter "rspamd" proc-exec "/bin/rspamd"\nwhere = "10.0.0.53"\ntable users { joe = "$2b$x" }\naction "out" relay\nmatch for any action "out"\nlisten on lo port 10025 tag Clean\n'

function parse(text: string): PipelineDraft & { readonly diagnostics: readonly Diagnostic[] } {
  const { draft } = parseText(policy)
  const { macros } = draft.reader.lexer
  const lexer = new Lexer('/etc/mail/pipeline.conf', { keywords: pipelineKeywords, read: () => text, macros })
  return { ...parsePipeline(new TokenReader(lexer), draft), diagnostics: lexer.diagnostics }
}

test('an empty file has every default written out', () => {
  const { settings, diagnostics } = parse('# nothing\n')
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(settings, defaultPipeline())
  assert.deepEqual([...settings.queues.keys()], ['filter', 'sign', 'deliver', 'relay'])
  assert.deepEqual([settings.queues.get('filter')?.tag, settings.queues.get('sign')?.tag], ['Filtered', 'Signed'])
})

test('every statement ends in the settings', () => {
  const { settings, hostname, files, diagnostics } = parse(
    [
      'redis "redis://redis:6379/0" password file "secrets/redis" prefix "mail"',
      'spool "/var/spool/mail" compression quota 10G key file "/run/secrets/spool.key"',
      'dashboard listen "127.0.0.2:8081" read-only',
      'metrics listen "[::]:9100"',
      'log level debug format json',
      'hostname "mail.exem.pl"',
      'queue "filter" concurrency 8 timeout 90s target 30s on-failure proceed',
      'queue "filter" tag from "lo:10025"',
      'queue greylist tag Greylisted answers "smtp://localhost:10030"',
      'spam engine builtin junk 4.5 reject 12 discard 15.0 header "X-Bad" subject "***" report-safe on',
      'spam clean 10.0.0.0/8 bypass',
      'spam clean mail-from <users> bypass',
      'spam clean tag Internal bypass',
      'spam for tag Originating junk never quarantine 12.5',
      'spam for domain "a.example" junk 3 subject "[junk]"',
      'spam quarantine 10',
      'dkim domain "Exem.pl" selector "main" key "keys/main.pem" header simple body relaxed expire 21d',
      'dkim default same-domain selector s key "/k"',
      'auth-results verify spf dkim',
      'quarantine keep 30d',
      'banned files { "*.exe", "application/x-msdownload" } found reject',
      'banned for tag ORIGINATING files any macros tag encrypted reject unreadable discard',
      'banned limits depth 3 unpacked 1M',
      'virus clamd "clamav:3310" timeout 20s infected tag on-failure proceed',
      'users from <users>',
      'login from <users>',
      'relocated <users>',
      'quota status "dovecot:12340" on-failure tempfail',
      'header match tag Out "^X-Mailer:" ignore',
      'header match "^Subject: .*x" reject "554 5.7.1 no"',
      'header match on "eth0:25" "^A:" hold "a look"',
      'header match "^B:" discard',
      'header match "^C:" redirect "Joe@Example.ORG"',
      'mime-header match "name=.*exe" replace "Content-Type: text/plain"',
      'nested-header match tag Out "^Received:" ignore',
      'body match on "eth0:25" "buy (now)" replace "not $1"',
      'body match "^x" hold',
      'body match "^y" reject',
      'body limit 100K',
      'interface lo is "10.77.0.0/24"',
      'socket "/run/lmtp" is "dovecot:24"',
      'resolver $where "10.0.0.54:5353"',
      'resolver "[::1]:53"',
      'resolver "unbound:53"',
      'tls minimum "TLSv1.3"',
      'relay port 2525',
      'mbox "mail"',
      'mda enable',
      'forward files "/home/"',
      'filter protocol "rspamd" "0.6"',
      'filter timeout "rspamd" 20s on-failure proceed',
      'filter timeout guard 5s',
      'external "smtp://localhost:10024" is "amavis:10024"',
      'external "smtp://localhost:10026" is "[fd00::7]:10026"',
      'trusted proxy 10.77.0.0/24 10.78.0.1',
      'trusted proxy "[fd00::/8]"',
    ].join('\n'),
  )
  assert.deepEqual(diagnostics, [])
  assert.equal(hostname, 'mail.exem.pl')
  assert.deepEqual(
    files.map((file) => file.path),
    ['/etc/mail/secrets/redis', '/run/secrets/spool.key', '/etc/mail/keys/main.pem', '/k'],
  )
  assert.deepEqual(settings.redis, {
    url: 'redis://redis:6379/0',
    passwordFile: '/etc/mail/secrets/redis',
    prefix: 'mail',
  })
  assert.deepEqual(settings.spool, {
    path: '/var/spool/mail',
    compression: true,
    quotaBytes: 10 * 1024 ** 3,
    keyFile: '/run/secrets/spool.key',
  })
  assert.deepEqual(
    [settings.dashboard, settings.metrics],
    [
      { host: '127.0.0.2', port: 8081, readOnly: true },
      { host: '::', port: 9100 },
    ],
  )
  assert.equal(settings.logLevel, 'debug')
  assert.deepEqual(settings.queues.get('filter'), {
    name: 'filter',
    tag: 'Clean',
    answers: 'smtp://localhost:10024',
    concurrency: 8,
    timeoutMs: 90_000,
    onFailure: 'proceed',
    targetMs: 30_000,
  })
  assert.equal(settings.queues.get('greylist')?.tag, 'Greylisted')
  const { policies, blocked, clean, engines, lists, ...general } = settings.spam
  assert.deepEqual([lists, blocked], [[], []])
  assert.deepEqual(engines, [{ kind: 'builtin', weight: 1, classifier: true }])
  const thresholds = { junk: 4.5, quarantine: 10, reject: 12, discard: 15 }
  assert.deepEqual(general, { ...thresholds, header: 'X-Bad', subject: '***', reportSafe: true })
  assert.deepEqual(
    clean.map((one) => [one.kind, one.kind === 'tag' ? one.tag : one.table.name]),
    [
      ['src', '<inline 0>'],
      ['mail-from', 'users'],
      ['tag', 'Internal'],
    ],
  )
  assert.deepEqual(policies[0], { for: { kind: 'tag', tag: 'Originating' }, junk: 'never', quarantine: 12.5 })
  assert.deepEqual([policies[1]?.for.kind, policies[1]?.junk, policies[1]?.subject], ['domain', 3, '[junk]'])
  assert.deepEqual(settings.dkim, [
    {
      domain: 'exem.pl',
      selector: 'main',
      keyFile: '/etc/mail/keys/main.pem',
      canonicalization: 'simple/relaxed',
      expireMs: 21 * 86_400_000,
    },
    { domain: '*', selector: 's', keyFile: '/k', canonicalization: 'relaxed/simple' },
  ])
  assert.deepEqual(settings.authResults, ['spf', 'dkim'])
  assert.deepEqual(settings.virus, {
    clamd: { kind: 'tcp', host: 'clamav', port: 3310 },
    timeoutMs: 20_000,
    infected: 'tag',
    onFailure: 'proceed',
    policies: [],
  })
  const [banned, users] = settings.banned?.policies ?? []
  assert.deepEqual([banned?.found, banned?.files !== 'default', banned?.tag], ['reject', true, undefined])
  assert.deepEqual(users, {
    tag: 'ORIGINATING',
    files: 'any',
    found: 'quarantine',
    macros: 'tag',
    encrypted: 'reject',
    unreadable: 'discard',
  })
  assert.deepEqual(settings.banned?.limits, { depth: 3, files: 10_000, unpackedBytes: 1_048_576 })
  const careful = { files: 'default', found: 'quarantine', macros: 'pass', encrypted: 'pass', unreadable: 'pass' }
  assert.deepEqual(parse('banned files default').settings.banned, {
    policies: [careful],
    limits: { depth: 8, files: 10_000, unpackedBytes: 268_435_456 },
  })
  assert.deepEqual(settings.quarantine, { keepMs: 30 * 86_400_000 })
  assert.deepEqual([settings.users.kind, settings.login[0]?.kind], ['table', 'table'])
  assert.equal(settings.relocated?.name, 'users')
  const place = { kind: 'tcp', host: 'dovecot', port: 12_340 }
  assert.deepEqual(settings.quotaStatus, { place, timeoutMs: 5_000, onFailure: 'tempfail' })
  assert.deepEqual(
    settings.headerRules.map(({ expression, action, for: choice }) => [expression, action, choice]),
    [
      ['^X-Mailer:', { kind: 'ignore' }, { kind: 'tag', tag: 'Out' }],
      ['^Subject: .*x', { kind: 'reject', text: '554 5.7.1 no' }, undefined],
      ['^A:', { kind: 'hold', reason: 'header match: a look' }, { kind: 'listener', on: 'eth0', port: 25 }],
      ['^B:', { kind: 'discard', reason: 'header match' }, undefined],
      ['^C:', { kind: 'redirect', mailbox: 'Joe@example.org' }, undefined],
    ],
  )
  const { mimeHeader, nestedHeader, body, bodyBytes } = settings.contentRules
  assert.equal(bodyBytes, 102_400)
  assert.deepEqual(
    [...mimeHeader, ...nestedHeader, ...body].map(({ expression, action, for: choice }) => [
      expression,
      action,
      choice,
    ]),
    [
      ['name=.*exe', { kind: 'replace', field: 'Content-Type: text/plain' }, undefined],
      ['^Received:', { kind: 'ignore' }, { kind: 'tag', tag: 'Out' }],
      ['buy (now)', { kind: 'replace', line: 'not $1' }, { kind: 'listener', on: 'eth0', port: 25 }],
      ['^x', { kind: 'hold', reason: 'body match' }, undefined],
      ['^y', { kind: 'reject', text: '550 5.7.1 Message refused: its content is not accepted here' }, undefined],
    ],
  )
  assert.deepEqual([...settings.interfaces], [['lo', '10.77.0.0/24']])
  assert.deepEqual([...settings.sockets], [['/run/lmtp', 'dovecot:24']])
  assert.deepEqual(settings.resolvers, ['10.0.0.53', '10.0.0.54:5353', '[::1]:53', 'unbound:53'])
  assert.deepEqual(
    settings.externals.map(({ url, host, port }) => [url, host, port]),
    [
      ['smtp://localhost:10024', 'amavis', 10_024],
      ['smtp://localhost:10026', 'fd00::7', 10_026],
    ],
  )
  assert.deepEqual(settings.trustedProxies, ['10.77.0.0/24', '10.78.0.1', '[fd00::/8]'])
  assert.deepEqual(settings.filters.get('rspamd'), { protocol: '0.6', timeoutMs: 20_000, onFailure: 'proceed' })
  assert.deepEqual(settings.filters.get('guard'), { protocol: '0.7', timeoutMs: 5_000, onFailure: 'tempfail' })
  assert.deepEqual([settings.tlsMinimum, settings.relayPort], ['TLSv1.3', 2525])
  assert.deepEqual([settings.mailboxes, settings.mda], ['/etc/mail/mail', { enabled: true }])
  assert.equal(settings.forwardFiles, '/home')
})

test('the engines that are named are the ones that count', () => {
  const { settings, diagnostics } = parse(
    'spam engine rspamd "http://rspamd:11333" weight 0.5 timeout 9s actions ignore junk 4\nspam engine spamassassin "[::1]:783" on-failure defer engine builtin weight 2 classifier off engine spamscanner weight 0.5\n',
  )
  assert.deepEqual(diagnostics, [])
  assert.equal(settings.spam.junk, 4)
  assert.deepEqual(settings.spam.engines, [
    {
      kind: 'rspamd',
      url: 'http://rspamd:11333',
      weight: 0.5,
      timeoutMs: 9_000,
      onFailure: 'proceed',
      actions: 'ignore',
    },
    {
      kind: 'spamassassin',
      place: { kind: 'tcp', host: '::1', port: 783 },
      weight: 1,
      timeoutMs: 20_000,
      onFailure: 'defer',
    },
    { kind: 'builtin', weight: 2, classifier: false },
    { kind: 'spamscanner', weight: 0.5 },
  ])
})

test('lists in DNS add their scores, good ones take away', () => {
  const { settings, diagnostics } = parse(
    'spam list client "Zen.example.org." answer { 127.0.0.2 }\nspam list links "dbl.example.org" score -2',
  )
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(
    settings.spam.lists.map(({ of, zone, score, answers }) => [of, zone, score, answers !== undefined]),
    [
      ['client', 'zen.example.org', 3, true],
      ['links', 'dbl.example.org', -2, false],
    ],
  )
  for (const text of [
    'spam list clients "a.example"',
    'spam list client "localhost"',
    'spam list links "a.example" score 0',
  ])
    assert.equal(parse(text).diagnostics.length, 1, text)
})

test('a line that only names clamd keeps viruses back and never lets mail pass unseen', () => {
  assert.deepEqual(parse('virus clamd "/run/clamav/clamd.ctl"').settings.virus, {
    clamd: { kind: 'unix', path: '/run/clamav/clamd.ctl' },
    timeoutMs: 30_000,
    infected: 'quarantine',
    onFailure: 'defer',
    policies: [],
  })
})

test('the queue of the relay is found by both its names, and is one', () => {
  const { queues } = parse('queue "outbound" concurrency 7\nqueue "relay" timeout 5m').settings
  assert.equal(queues.has('outbound'), false)
  assert.deepEqual([queues.get('relay')?.concurrency, queues.get('relay')?.timeoutMs], [7, 300_000])
})

test('mistakes are told with their place and advice', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['querys "x"', 'unknown-keyword@1:1', 'one of: '],
    ['spam report-safe yes', 'unknown-keyword@1:18', 'one of: on, off'],
    ['spaam junk 5', 'unknown-keyword@1:1', 'did you mean "spam"?'],
    ['header match "(x" ignore', 'value@1:14', ''],
    ['header match "x" prepend "no field"', 'value@1:26', '"X-Checked'],
    ['header match "x" reject "no code"', 'value@1:25', '"550'],
    ['header match "(x)" replace "A: $2"', 'value@1:28', '$$ is a dollar'],
    ['header match "x" redirect "joe"', 'value@1:27', '"postmaster@'],
    ['mime-header "x" ignore', 'syntax@1:13', ''],
    ['nested-header match "x" replace "no field"', 'value@1:33', '"X-Checked'],
    ['body matches "x" ignore', 'unknown-keyword@1:6', 'did you mean "match"'],
    ['body limit none', 'value@1:12', '10G'],
    ['body match "(x)" replace "$2"', 'value@1:26', '$$ is a dollar'],
    ['body match "x" delete', 'unknown-keyword@1:16', 'one of: ignore'],
    ['relocated', 'syntax@1:10', ''],
    ['quota "dovecot:12340"', 'syntax@1:7', ''],
    ['quota status "dovecot"', 'value@1:14', '"host:port"'],
    ['relocated { a, b }', 'table-type@1:11', ''],
    ['log level loud', 'unknown-keyword@1:11', 'one of: '],
    ['queue mine concurrency 2', 'incomplete@1:7', 'queue "mine" tag'],
    ['queue filter concurrency 0', 'value@1:26', ''],
    ['filter protocol "rspam" "0.6"', 'unknown-name@1:17', 'did you mean "rspamd"?'],
    ['filter protocol rspamd "0.8"', 'syntax@1:24', 'one of: 0.4, 0.5, 0.6, 0.7'],
    ['filter timeout rspamd 5s on-failure wait', 'unknown-keyword@1:37', 'one of: tempfail, proceed'],
    ['filter timeout rspamd 5s\nfilter timeout rspamd 6s', 'duplicate@2:25', 'keep one of the two'],
    ['external "queue://filter" is "amavis:10024"', 'value@1:10', 'external "smtp'],
    ['external "smtp://localhost:10024" is "amavis"', 'value@1:38', 'external "smtp'],
    ['external "smtp://localhost:10024" is "amavis:0"', 'value@1:38', 'external "smtp'],
    ['external "smtp://h:1" is "a:1"\nexternal "smtp://h:1" is "b:1"', 'duplicate@2:10', 'keep one'],
    ['trusted "10.0.0.0/8"', 'syntax@1:9', ''],
    ['trusted proxy balancer', 'value@1:15', '10.77.0.0/24'],
    ['trusted proxy 10', 'syntax@1:15', ''],
    ['users from <userz>', 'unknown-name@1:12', 'did you mean "users"?'],
    ['dkim domain a.org key "/k"', 'incomplete@1:1', 'add: selector'],
    [
      'dkim domain a.org selector s key "/k"\ndkim domain A.org selector S key "/l"',
      'duplicate@2:28',
      'each key has a selector',
    ],
    ['dkim domain a.org selector s selector t key "/k"', 'duplicate@1:30', ''],
    ['redis "redis://:secret@h"', 'value@1:7', 'write `password file'],
    ['redis "redis+sentinel://mail:secret@h/m"', 'value@1:7', 'write `password file'],
    ['redis "redis+sentinel://a,b"', 'value@1:7', '/mymaster'],
    ['redis "redis+cluster://a/1"', 'value@1:7', 'redis+cluster://10.0.0.1'],
    ['redis "redis://h" sentinel password file "/k"', 'value@1:7', 'redis+sentinel'],
    ['resolver "dns.example.org"', 'value@1:10', '"10.0.0.53"'],
    ['quarantine keep 30', 'value@1:17', 'a number and one of'],
    ['quarantine', 'syntax@1:11', ''],
    ['virus clamd "clamav"', 'value@1:13', '"host:port"'],
    ['virus clamd "c:1" infected bounce', 'unknown-keyword@1:28', 'one of: reject'],
    ['spam engine amavis', 'unknown-keyword@1:13', 'one of: builtin'],
    ['spam engine spamscanner timeout 2s', 'unknown-keyword@1:25', 'one of: engine'],
    ['spam engine spamscanner weight 0', 'value@1:32', 'leave the engine out'],
    ['spam engine rspamd "rspamd:11333"', 'value@1:20', '"http://127.0.0.1'],
    ['spam engine rspamd "http://me:secret@h"', 'value@1:20', '"http://127.0.0.1'],
    ['spam engine builtin weight 0', 'value@1:28', 'leave the engine out'],
    ['spam engine spamassassin "h:783" actions obey', 'unknown-keyword@1:34', 'one of: engine'],
    ['spam engine builtin\nspam engine builtin', 'duplicate@2:13', ''],
    ['spam clean <users>', 'syntax@1:19', ''],
    ['spam clean mail_from <users> bypass', 'syntax@1:22', ''],
    ['spam for tag Mine', 'syntax@1:18', 'one of: junk'],
    ['spam for users junk 5', 'unknown-keyword@1:10', 'one of: tag'],
    ['spam junk never', 'value@1:11', 'a number'],
    ['banned names default', 'unknown-keyword@1:8', 'one of: files'],
    ['banned files default found pass', 'unknown-keyword@1:28', 'one of: reject'],
    ['banned files default macros', 'syntax@1:28', ''],
    ['banned files default\nbanned files any', 'duplicate@2:1', 'keep one'],
    ['banned for tag A files any\nbanned for tag a files default', 'duplicate@2:1', 'keep one'],
    ['banned limits depth 0', 'value@1:21', ''],
    ['banned limits', 'syntax@1:14', ''],
    ['banned limits depth 1\nbanned limits depth 2', 'duplicate@2:1', 'keep one'],
    ['banned for domain a.org files any', 'unknown-keyword@1:12', ''],
    ['banned files default found junk', 'unknown-keyword@1:28', 'one of: reject'],
    ['virus clamav "c:1"', 'unknown-keyword@1:7', 'did you mean "clamd"'],
    ['relay port 70000', 'value@1:12', ''],
    ['log level info\nlog level warn', 'duplicate@2:1', 'keep one'],
    ['dashboard listen 8080', 'syntax@1:18', ''],
  ]
  for (const [text, place, hint] of cases) {
    const [one] = parse(text).diagnostics
    assert.equal(`${one?.code}@${one?.span.line}:${one?.span.column}`, place, text)
    assert.ok((one?.hint ?? '').includes(hint), `${text}: ${one?.hint}`)
  }
})

test('a domain may have several DKIM keys, RSA and Ed25519, each with a selector of its own', () => {
  const { settings, diagnostics } = parse(
    [
      'dkim domain exem.pl selector main key "/etc/certs/rsa.key"',
      'dkim domain exem.pl selector main-ed key "/etc/certs/ed25519.key" body relaxed',
    ].join('\n'),
  )
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(
    settings.dkim.map(({ domain, selector, keyFile, canonicalization }) => [
      domain,
      selector,
      keyFile,
      canonicalization,
    ]),
    [
      ['exem.pl', 'main', '/etc/certs/rsa.key', 'relaxed/simple'],
      ['exem.pl', 'main-ed', '/etc/certs/ed25519.key', 'relaxed/relaxed'],
    ],
  )
})

test('whose ARC seals and how short keys are believed is stated with the checks, or alone', () => {
  assert.deepEqual(parse('').settings.authentication, { minKeyBits: 1024 })
  const { settings, diagnostics } = parse('auth-results min-key-bits 2048 verify spf arc trust-arc { "lists.example" }')
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(settings.authResults, ['spf', 'arc'])
  assert.equal(settings.authentication.minKeyBits, 2048)
  assert.deepEqual(settings.authentication.trustedSealers?.source, { kind: 'inline', list: ['lists.example'] })
  assert.deepEqual(parse('auth-results trust-arc "lists.example"').settings.authResults, [
    'spf',
    'dkim',
    'dmarc',
    'arc',
  ])
  const faults: readonly (readonly [string, string])[] = [
    ['auth-results', 'syntax'],
    ['auth-results spf', 'unknown-keyword'],
    ['auth-results verify spf iprev', 'unknown-keyword'],
    ['auth-results min-key-bits 256', 'value'],
    ['auth-results min-key-bits 512', 'short-keys'],
    ['auth-results trust-arc', 'syntax'],
    ['auth-results verify spf\nauth-results min-key-bits 2048', 'duplicate'],
  ]
  for (const [text, code] of faults)
    assert.deepEqual(
      parse(text).diagnostics.map((one) => one.code),
      [code],
      text,
    )
})

test('no file makes the parser throw', () => {
  const statements =
    'redis spool dashboard auth read-only metrics log hostname queue spam clean bypass for mail-from domain virus clamd quarantine dkim auth-results users login auth relocated header interface socket resolver tls relay'
  const others =
    'listen level from <users> <none> key "/k" selector "127.0.0.1:80" 5 4d tag filter is any default same-domain { } , = $where \n'
  const word = fc.constantFrom(...`${statements} ${others}`.split(' '), '\n')
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      for (const { span } of parse(words.join(' ')).diagnostics) assert.ok(span.line >= 1 && span.column >= 1)
    }),
    { numRuns: 300 },
  )
})

test('DANE is off unless it is asked for, and believes only resolvers that are said to check signatures', () => {
  const written = parse(
    'resolver "10.0.0.53"\nresolver "127.0.0.1", "[::1]:53" validating\ndane opportunistic',
  ).settings
  assert.deepEqual(written.resolvers, ['10.0.0.53', '127.0.0.1', '[::1]:53'])
  assert.deepEqual([written.validatingResolvers, written.dane], [['127.0.0.1', '[::1]:53'], 'opportunistic'])
  assert.deepEqual([parse('').settings.validatingResolvers, parse('').settings.dane], [[], 'off'])
  for (const text of ['resolver validating', 'resolver "127.0.0.1" validated', 'dane', 'dane enforce'])
    assert.equal(parse(text).diagnostics.length, 1, text)
})

test('MTA-STS is off unless it is asked for', () => {
  assert.deepEqual(parse('').settings.mtaSts, { mode: 'off', port: 443 })
  assert.deepEqual(parse('mta-sts opportunistic').settings.mtaSts, { mode: 'opportunistic', port: 443 })
  assert.deepEqual(parse('mta-sts testing port 8443').settings.mtaSts, { mode: 'testing', port: 8443 })
  const faults: readonly (readonly [string, string])[] = [
    ['mta-sts', 'syntax'],
    ['mta-sts enforce', 'unknown-keyword'],
    ['mta-sts opportunistic port 0', 'value'],
    ['mta-sts off\nmta-sts off', 'duplicate'],
  ]
  for (const [text, code] of faults)
    assert.deepEqual(
      parse(text).diagnostics.map((one) => one.code),
      [code],
      text,
    )
})
