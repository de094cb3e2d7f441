import assert from 'node:assert/strict'
import { test } from 'node:test'

import { closest, ConfigurationError, renderDiagnostic, type Diagnostic } from './diagnostic.ts'

const diagnostic: Diagnostic = {
  severity: 'error',
  code: 'unknown-name',
  message: 'there is no table "user"',
  span: { file: 'smtpd.conf', line: 12, column: 19, length: 6, sourceLine: '\tmatch for domain <user> reject' },
  hint: 'did you mean "users"?',
}

test('a fault is shown with its line, a caret under the word and advice', () => {
  assert.equal(
    renderDiagnostic(diagnostic),
    [
      'smtpd.conf:12:19: error: there is no table "user" [unknown-name]',
      '  12 | \tmatch for domain <user> reject',
      '     | \t                 ^^^^^^',
      '     = hint: did you mean "users"?',
    ].join('\n'),
  )
})

test('a caret never reaches behind its line', () => {
  const long = { ...diagnostic, span: { ...diagnostic.span, length: 500 } }
  assert.ok(renderDiagnostic(long).includes(`\t                 ${'^'.repeat(13)}\n`))
})

test('the error holds every diagnostic and reads as their text', () => {
  const error = new ConfigurationError([diagnostic, diagnostic])
  assert.equal(error.diagnostics.length, 2)
  assert.equal(error.message, `${renderDiagnostic(diagnostic)}\n\n${renderDiagnostic(diagnostic)}`)
})

test('a misspelt word is guessed, another word is not', () => {
  const known = ['listen', 'table', 'action', 'match']
  assert.deepEqual(
    ['listne', 'tabel', 'acton', 'MATCH', 'zzz', ''].map((word) => closest(word, known)),
    ['listen', 'table', 'action', 'match', undefined, undefined],
  )
})
