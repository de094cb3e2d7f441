import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { QueryError, parseQuery, queryExample } from './query.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)

test('words, quotations, lists and times are understood', () => {
  assert.deepEqual(parseQuery('to:jane@example.org status:failed,delayed after:2026-11-20 "mailbox full"', nowAt), {
    terms: [
      { field: 'to', values: ['jane@example.org'], isNegated: false },
      { field: 'status', values: ['failed', 'delayed'], isNegated: false },
      { field: 'text', values: ['mailbox full'], isNegated: false },
    ],
    after: Date.UTC(2026, 10, 20),
  })
  assert.deepEqual(parseQuery(queryExample, nowAt).terms.length, 3)
  assert.deepEqual(parseQuery('  ', nowAt), { terms: [] })
})

test('a word alone is what it looks like', () => {
  for (const [word, field, value] of [
    ['0mwqa8ol1mm2krauhv', 'id', '0mwqa8ol1mm2krauhv'],
    ['<a.b@example.org>', 'message-id', '<a.b@example.org>'],
    ['jane@example.org', 'address', 'jane@example.org'],
    ['greylisted', 'text', 'greylisted'],
    ['"jane@example.org"', 'text', 'jane@example.org'],
  ] as const) {
    assert.deepEqual(parseQuery(word, nowAt).terms, [{ field, values: [value], isNegated: false }], word)
  }
})

test('other names of a field, other spellings and a minus are understood', () => {
  assert.deepEqual(parseQuery('-State:OPEN rcpt:"x y" msgid:a@b', nowAt).terms, [
    { field: 'status', values: ['queued', 'delayed', 'held'], isNegated: true },
    { field: 'to', values: ['x y'], isNegated: false },
    { field: 'message-id', values: ['<a@b>'], isNegated: false },
  ])
})

test('times are dates in UTC, or how long ago', () => {
  const after = (text: string): number | undefined => parseQuery(`after:${text}`, nowAt).after
  assert.equal(after('2026-11-20T14:30'), Date.UTC(2026, 10, 20, 14, 30))
  assert.equal(after('2026-11-20T14:30:05Z'), Date.UTC(2026, 10, 20, 14, 30, 5))
  assert.equal(after('6h'), nowAt - 6 * 3_600_000)
  assert.equal(after('today'), Date.UTC(2026, 10, 21))
  assert.equal(parseQuery('before:yesterday', nowAt).before, Date.UTC(2026, 10, 20))
})

test('a time alone, or a range of them, is a period: a day has its end', () => {
  const day = (date: number): number => Date.UTC(2026, 10, date)
  for (const [text, after, before] of [
    ['today', day(21), day(22)],
    ['yesterday', day(20), day(21)],
    ['-2h', nowAt - 2 * 3_600_000, undefined],
    ['time:-2h', nowAt - 2 * 3_600_000, undefined],
    ['on:2026-11-20', day(20), day(21)],
    ['2026-11-19..2026-11-20', day(19), day(21)],
    ['2026-11-19..', day(19), undefined],
    ['..2026-11-20', undefined, day(21)],
    ['2026-11-20T14:30..2026-11-20T15:00', Date.UTC(2026, 10, 20, 14, 30), Date.UTC(2026, 10, 20, 15)],
    ['time:yesterday..today', day(20), day(22)],
    ['2026-11-01..2026-11-20 after:2026-11-10', day(10), day(21)],
  ] as const) {
    const query = parseQuery(text, nowAt)
    assert.deepEqual([query.terms, query.after, query.before], [[], after, before], text)
  }
  assert.deepEqual(parseQuery('"today" -2hours text:yesterday', nowAt).terms, [
    { field: 'text', values: ['today'], isNegated: false },
    { field: 'text', values: ['2hours'], isNegated: true },
    { field: 'text', values: ['yesterday'], isNegated: false },
  ])
  for (const [text, told] of [
    ['2026-13-40', /'2026-13-40' is not a time/],
    ['time:..', /'\.\.' is not a range/],
    ['-time:today', /'-time:today' leaves nothing out/],
    ['on:today,yesterday', /takes one time/],
    ['2026-11-21..2026-11-19', /swap them/],
  ] as const)
    assert.throws(() => parseQuery(text, nowAt), told, text)
})

test('what cannot be understood is refused with what to write instead', () => {
  for (const [text, told] of [
    ['form:jane@example.org', /'form:' is not known: use id, .*from, to/],
    ['from:a\u0000b@c.test', /a control character/],
    ['constructor:x', /'constructor:' is not known/],
    ['status:lost', /use queued, delayed, held, delivered/],
    ['to: jane@example.org', /'to:' has no value: write it directly behind the colon/],
    ['"mailbox full', /has no end: write "/],
    ['after:last-week', /write after:2026-11-20/],
    ['after:2026-13-40', /is not a time/],
    ['after:1d before:2d', /swap them/],
    ['-after:1d', /use before:/],
    ['id:abc', /18 characters/],
    ['"--"', /no letter or digit/],
    ['x'.repeat(1_001), /longer than 1000 characters/],
    ['a '.repeat(21), /more than 20 terms/],
    [`to:${'a,'.repeat(21)}`, /more than 20 values/],
  ] as const) {
    assert.throws(
      () => parseQuery(text, nowAt),
      (error) => error instanceof QueryError && told.test(error.message),
      text,
    )
  }
})

test('whatever is typed is understood or refused', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...' :"-,<>@\\%abdofter129\n'.split('')), maxLength: 40 }),
      (text) => {
        try {
          parseQuery(text, nowAt)
        } catch (error) {
          assert.ok(error instanceof QueryError, String(error))
        }
      },
    ),
  )
})
