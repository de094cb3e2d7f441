import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { namesHost, parsePolicy, PolicyFault } from './policy.ts'

test('a policy is read as RFC 8461 shows it', () => {
  const text = 'version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.NET\r\nmax_age: 604800\r\n'
  const policy = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAgeMs: 604_800_000 }
  assert.deepEqual(parsePolicy(text), policy)
  assert.deepEqual(parsePolicy(text.replaceAll('\r\n', '\n')), policy)
  assert.deepEqual(parsePolicy(`${text}x-new: thing\nmode: testing\nmax_age: 1\n`), policy)
  assert.deepEqual(parsePolicy('version:STSv1\nmode:none\nmax_age:99999999999'.slice(0, -1)), {
    mode: 'none',
    mx: [],
    maxAgeMs: 31_557_600_000,
  })
})

test('a text that is no policy is refused with the reason', () => {
  const good = 'version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1'
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /version/],
    [good.replace('STSv1', 'STSv2'), /version/],
    [good.replace('mode: enforce\n', ''), /no mode/],
    [good.replace('enforce', 'Enforce'), /unknown mode/],
    [good.replace('mx: a.test\n', ''), /no mx/],
    [good.replace('a.test', '*'), /no host name/],
    [good.replace('a.test', 'a.*.test'), /no host name/],
    [good.replace('a.test', '.a.test'), /no host name/],
    [good.replace('max_age: 1', ''), /max_age/],
    [good.replace('max_age: 1', 'max_age: -1'), /max_age/],
    [`<html>\n${good}`, /no field/],
  ]
  for (const [text, reason] of cases) assert.throws(() => parsePolicy(text), reason, text)
})

test('whatever a policy host sends, it is a policy or a fault', () => {
  const line = fc.oneof(
    fc.constantFrom(
      'version: STSv1',
      'mode: enforce',
      'mode: none',
      'mx: *.a.test',
      'mx:',
      'max_age: 86400',
      'max_age: x',
    ),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('\n', '\r\n'), (lines, end) => {
      try {
        const { mx, mode, maxAgeMs } = parsePolicy(lines.join(end))
        return (mode === 'none' || mx.length > 0) && maxAgeMs >= 0
      } catch (error) {
        return error instanceof PolicyFault
      }
    }),
  )
})

test('a star stands for one label', () => {
  const policy = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAgeMs: 1 } as const
  const hosts: readonly (readonly [string, boolean])[] = [
    ['mail.example.com', true],
    ['mx.example.net', true],
    ['example.net', false],
    ['a.b.example.net', false],
    ['xmail.example.com', false],
    ['mx.mail.example.com', false],
    ['mxexample.net', false],
  ]
  for (const [host, named] of hosts) assert.equal(namesHost(policy, host), named, host)
})
