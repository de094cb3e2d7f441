import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { modernKeywords } from './keywords.ts'
import { Lexer, quoteString, type LexerOptions, type Token } from './lexer.ts'

function open(text: string, options: Partial<LexerOptions> = {}): Lexer {
  return new Lexer('/etc/mail/smtpd.conf', { keywords: modernKeywords, read: () => text, ...options })
}

function tokensOf(lexer: Lexer): readonly Token[] {
  const tokens: Token[] = []
  for (let token = lexer.next(); token.kind !== 'end'; token = lexer.next()) tokens.push(token)
  return tokens
}

function shown(text: string, options: Partial<LexerOptions> = {}): string {
  const names = {
    word: 'w',
    keyword: 'k',
    string: 's',
    number: 'n',
    punctuation: 'p',
    newline: 'nl',
    end: 'end',
    invalid: '!',
  }
  return tokensOf(open(text, options))
    .filter((token) => token.kind !== 'newline')
    .map((token) => `${names[token.kind]}:${token.text}`)
    .join(' ')
}

test('words, keywords, numbers and punctuation are told apart', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['listen on lo port 25', 'k:listen k:on w:lo k:port n:25'],
    ['LISTEN', 'w:LISTEN'],
    ['4d 35M 5a 192.0.2.1 192.0.2.0/24', 'w:4d w:35M w:5a w:192.0.2.1 w:192.0.2.0/24'],
    ['10/8', 'n:10 p:/ n:8'],
    ['-1', 'n:-1'],
    [
      '::1 file:/etc/aliases joe@x.org smtp+tls://l@h:587',
      'w:::1 w:file:/etc/aliases w:joe@x.org w:smtp+tls://l@h:587',
    ],
    ['/path', 'p:/ w:path'],
    ['a=>b', 'w:a p:= w:b'],
    ['{a,b}', 'p:{ w:a p:, w:b p:}'],
    ['!from<t>', 'p:! k:from p:< w:t p:>'],
    ['a#comment', 'w:a'],
    ['a\\b', 'w:ab'],
    ['a\\\\b', 'w:a\\b'],
    ['a\\\\\nb', 'w:a\\ w:b'],
  ]
  for (const [text, expected] of cases) assert.equal(shown(text), expected, text)
})

test('a backslash at the end of a line joins it with the next, in words and comments too', () => {
  assert.equal(shown('lis\\\nten # hidden \\\nhidden too\non'), 'k:listen k:on')
})

test('a quoted string keeps its backslashes but before the quote and blanks', () => {
  assert.equal(shown('"\\.org$" "a\\"b" \'a\\ b\' "two\nlines" "#"'), 's:\\.org$ s:a"b s:a b s:twolines s:#')
})

test('files of a Windows editor are read like others', () => {
  const lexer = open('\u{FEFF}listen \\\r\non lo\r\n')
  assert.deepEqual(
    tokensOf(lexer).map((token) => token.text),
    ['listen', 'on', 'lo', '\n'],
  )
  assert.deepEqual(lexer.diagnostics, [])
})

test('blanks behind a continuation backslash are warned about, and refused in strict mode', () => {
  const tolerant = open('a \\  \nb\n')
  assert.equal(tokensOf(tolerant).filter((token) => token.kind === 'newline').length, 1)
  assert.equal(tolerant.diagnostics[0]?.severity, 'warning')
  const strict = open('a \\  \nb\n', { strict: true })
  tokensOf(strict)
  assert.equal(strict.diagnostics[0]?.severity, 'error')
})

test('a macro is lexed in place, but not inside quotes and not twice', () => {
  const lexer = open('$list "$list" $list', { macros: new Map([['list', '{ a, b }']]) })
  const texts = tokensOf(lexer).map((token) => token.text)
  assert.deepEqual(texts.slice(0, 6), ['{', 'a', ',', 'b', '}', '$list'])
  assert.equal(
    shown('$a', {
      macros: new Map([
        ['a', '$b'],
        ['b', 'x'],
      ]),
    }),
    'p:$ w:b',
  )
})

test('a token of a macro is shown where the macro is used', () => {
  const [, token] = tokensOf(open('on $where', { macros: new Map([['where', 'lo']]) }))
  assert.deepEqual([token?.text, token?.span.column, token?.span.length], ['lo', 4, 6])
})

test('a definition of the command line wins over the file, and a bare path needs no quotes there', () => {
  const lexer = open('$key', { definitions: { key: '/data/my key.pem' } })
  lexer.define('key', 'other')
  assert.deepEqual([lexer.next().text], ['/data/my key.pem'])
})

test('what cannot be read is reported once, with its place', () => {
  const lexer = open('a é\n$none\n"open')
  tokensOf(lexer)
  assert.deepEqual(
    lexer.diagnostics.map((one) => [one.code, one.span.line, one.span.column]),
    [
      ['character', 1, 3],
      ['undefined-macro', 2, 1],
      ['unterminated-string', 3, 1],
    ],
  )
})

test('any text comes back from its quoted form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      fc.pre(!text.includes('\n') && !text.includes('\r'))
      const lexer = open(quoteString(text))
      const token = lexer.next()
      assert.deepEqual([token.kind, token.text, lexer.diagnostics], ['string', text, []])
    }),
  )
})

test('no input makes the lexer throw or hang', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '"', "'", '\\', '\n', ' ', '#', '$', '{', '1', '-', '\r', 'é') }),
      (text) => {
        assert.ok(tokensOf(open(text, { macros: new Map([['a', '"x']]) })).length <= text.length * 3 + 1)
      },
    ),
  )
})
