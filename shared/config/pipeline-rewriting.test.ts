import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pipelineKeywords } from './keywords.ts'
import { Lexer } from './lexer.ts'
import { parseText } from './oracle-fixture.ts'
import { parsePipeline } from './pipeline-grammar.ts'
import { TokenReader } from './token-reader.ts'

function parse(text: string) {
  const { draft } = parseText('table names { "a@b.c" = "d@e.f" }\ntable roots { root }\n')
  const lexer = new Lexer('/etc/mail/pipeline.conf', { keywords: pipelineKeywords, read: () => text })
  return { rewriting: parsePipeline(new TokenReader(lexer), draft).settings.rewriting, diagnostics: lexer.diagnostics }
}

test('canonical, masquerade, append-domain and complete-addresses are read as they are written', () => {
  const { rewriting, diagnostics } = parse(
    [
      'canonical sender <names> envelope',
      'canonical recipient <names> headers for any',
      'canonical both <names>',
      'masquerade domains "!info.x.org" !compta.x.org, "X.org" except users <roots> for any',
      'append-domain "X.org"',
      'complete-addresses off',
    ].join('\n'),
  )
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(
    rewriting.canonical.map(({ of, in: place, clients, table }) => [of, place, clients, table.name]),
    [
      ['sender', 'envelope', 'local', 'names'],
      ['recipient', 'headers', 'any', 'names'],
      ['both', 'both', 'local', 'names'],
    ],
  )
  assert.deepEqual(rewriting.masquerade?.domains, [
    { name: 'info.x.org', hide: false },
    { name: 'compta.x.org', hide: false },
    { name: 'x.org', hide: true },
  ])
  assert.deepEqual([rewriting.masquerade?.except?.name, rewriting.masquerade?.clients], ['roots', 'any'])
  assert.deepEqual([rewriting.appendDomain, rewriting.completeAddresses], ['x.org', false])
})

test('mistakes are told with their place and advice', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['canonical <names>', 'syntax@1:11', ''],
    ['canonical sender { a, b }', 'table-type@1:18', ''],
    ['canonical sender <names> body', 'syntax@1:26', ''],
    ['canonical sender <names> for all', 'unknown-keyword@1:30', 'one of: any'],
    ['masquerade "x.org"', 'syntax@1:12', ''],
    ['masquerade domains', 'syntax@1:19', ''],
    ['masquerade domains "x y"', 'value@1:20', '"example.org"'],
    ['masquerade domains "x.org" except <roots>', 'syntax@1:35', ''],
    ['masquerade domains "x.org"\nmasquerade domains "y.org"', 'duplicate@2:1', 'keep one'],
    ['append-domain "@x.org"', 'value@1:15', '"example.org"'],
    ['complete-addresses no', 'unknown-keyword@1:20', 'did you mean "on"'],
  ]
  for (const [text, place, hint] of cases) {
    const [first] = parse(text).diagnostics
    assert.equal(`${first?.code}@${first?.span.line}:${first?.span.column}`, place, text)
    assert.ok((first?.hint ?? '').includes(hint), `${text}: ${first?.hint}`)
  }
})
