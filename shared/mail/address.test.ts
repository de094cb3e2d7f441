import assert from 'node:assert/strict'
import { test } from 'node:test'

import { domainOf, localPart, parseMailbox } from './address.ts'

const cases: readonly (readonly [string, string | undefined])[] = [
  ['jane@example.org', 'jane@example.org'],
  ['Jane@EXAMPLE.org', 'Jane@example.org'],
  ['"jane"@example.org', 'jane@example.org'],
  ['"jane doe"@example.org', '"jane doe"@example.org'],
  ['"a\\"b"@example.org', '"a\\"b"@example.org'],
  ['"a@b"@example.org', '"a@b"@example.org'],
  ['jane@[192.0.2.1]', 'jane@[192.0.2.1]'],
  ['jane@[IPv6:2001:db8::1]', 'jane@[IPv6:2001:db8::1]'],
  ['jané@exämple.org', 'jané@xn--exmple-cua.org'],
  ['jane\u0301@EXA\u0308MPLE.org', 'jan\u00e9@xn--exmple-cua.org'],
  ['jane@XN--EXMPLE-CUA.org', 'jane@xn--exmple-cua.org'],
  ['"jané doe"@example.org', '"jané doe"@example.org'],
  ['用户@例え.テスト', '用户@xn--r8jz45g.xn--zckzah'],
  ['jan\u0085e@example.org', undefined],
  ['jan\u00a0e@example.org', undefined],
  ['jan\u2028e@example.org', undefined],
  ['jan\u202ee@example.org', undefined],
  ['jan\ud800e@example.org', undefined],
  ['jane@a\u0000ü.org', undefined],
  ['jane@ü b.org', undefined],
  ['jane@ü@x/..org', undefined],
  ['jane', undefined],
  ['@example.org', undefined],
  ['jane@', undefined],
  ['a..b@example.org', undefined],
  ['.a@example.org', undefined],
  ['a b@example.org', undefined],
  ['"jane@example.org', undefined],
  ['jane@-x.org', undefined],
  ['jane@x..org', undefined],
  ['jane@x.org\r\nRCPT TO:<y@z>', undefined],
  [`${'a'.repeat(65)}@example.org`, undefined],
  [`jane@${'a'.repeat(64)}.org`, undefined],
  ['constructor@__proto__', 'constructor@__proto__'],
]

test('only what RFC 5321 calls a mailbox is one, and it has one form', () => {
  for (const [text, expected] of cases) assert.equal(parseMailbox(text), expected, text)
})

test('the last @ divides', () => {
  const mailbox = parseMailbox('"a@b"@example.org')
  assert.ok(mailbox !== undefined)
  assert.equal(localPart(mailbox), '"a@b"')
  assert.equal(domainOf(mailbox), 'example.org')
})
