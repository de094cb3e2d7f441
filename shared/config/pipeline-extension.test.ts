import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pipelineKeywords } from './keywords.ts'
import { Lexer } from './lexer.ts'
import { parseText } from './oracle-fixture.ts'
import { parsePipeline } from './pipeline-grammar.ts'
import { TokenReader } from './token-reader.ts'

function parse(text: string) {
  const { draft } = parseText('')
  const { macros } = draft.reader.lexer
  const lexer = new Lexer('/etc/mail/pipeline.conf', { keywords: pipelineKeywords, read: () => text, macros })
  const { settings } = parsePipeline(new TokenReader(lexer), draft)
  return { settings, faults: lexer.diagnostics.map(({ message }) => message) }
}

test('extensions of SMTP: what is offered, and how far it goes', () => {
  assert.deepEqual(parse('').settings.extensions, { smtpUtf8: true })
  const { settings, faults } = parse('smtputf8 off\nfuture-release max 7d\n')
  assert.deepEqual(faults, [])
  const { etrn } = parse('etrn from { 10.0.0.0/8, "[fd00::/8]" }').settings.extensions
  assert.equal(etrn?.source.kind, 'inline')
  const { expn } = parse('expn from { 192.0.2.0/24 }').settings.extensions
  assert.deepEqual(expn?.source, { kind: 'inline', list: ['192.0.2.0/24'] })
  const { trustedClients } = parse('trusted client 10.0.0.0/8\ntrusted client 10.0.0.0/8 192.0.2.1').settings.extensions
  assert.deepEqual(trustedClients, ['10.0.0.0/8', '192.0.2.1'])
  const { trustedFilters } = parse('trusted filter 127.0.0.1\ntrusted filter 192.0.2.1').settings.extensions
  assert.deepEqual(trustedFilters, ['127.0.0.1', '192.0.2.1'])
  assert.deepEqual(settings.extensions, { smtpUtf8: false, maxHoldMs: 7 * 86_400_000 })
})

test('mistakes in them are told', () => {
  for (const text of [
    'smtputf8',
    'smtputf8 maybe',
    'future-release 7d',
    'future-release max 0',
    'future-release max 400d',
    'trusted client',
    'trusted client everybody',
    'trusted filter',
    'trusted filter localhost',
    'trusted friend 10.0.0.0/8',
    'expn',
    'expn on',
    'etrn',
    'etrn 10.0.0.0/8',
    'etrn from <nobody>',
  ])
    assert.equal(parse(text).faults.length, 1, text)
  assert.match(parse('smtputf8 on\nsmtputf8 off').faults.join(''), /stated already/)
})
