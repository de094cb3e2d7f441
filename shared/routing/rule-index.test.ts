import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { TableError } from '../config/tables.ts'
import { tag } from '../mail/tag.ts'
import { firstFailure, route } from './route.ts'
import { contextOf, mailbox } from './routing-fixture.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

const domains = ['example.org', 'a.example.org', 'Example.NET', '*.example.org', '*example.net', 'localhost']
const mailboxes = ['@example.org', 'jane@example.org', 'jane+x@example.net', 'jane', '@*.example.org', '@']
const words = fc.constantFrom('Filtered', 'signed', 'T1', 'T2')

function list(values: readonly string[]): fc.Arbitrary<string> {
  return fc
    .uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
    .map((entries) => `{ ${entries.map((entry) => `"${entry}"`).join(', ')} }`)
}

const condition = fc.oneof(
  list(domains).map((text) => `for domain ${text}`),
  list(mailboxes).map((text) => `for rcpt-to ${text}`),
  fc.constantFrom('for any', 'for local', '! for domain "example.org"'),
)
const others = fc.subarray(
  [
    'tag "Filtered"',
    'tag { "T1", "signed" }',
    'mail-from "@example.org"',
    '! mail-from "@example.net"',
    'helo "mx.example.org"',
    '! tag "T2"',
  ],
  { maxLength: 3 },
)
const rule = fc
  .tuple(condition, others, fc.constantFrom('action "one"', 'action "two"', 'reject'))
  .map(([where, more, end]) => {
    const kinds = new Set<string>()
    const kept = more.filter((text) => {
      const kind = text.replace(/^! /, '').split(' ')[0] ?? ''
      return kinds.has(kind) ? false : kinds.add(kind)
    })
    return `match from any ${where} ${kept.join(' ')} ${end}`
  })

const transaction: fc.Arbitrary<Partial<Transaction>> = fc.record({
  tags: fc.uniqueArray(words, { maxLength: 2 }).map((tags) => tags.map((one) => tag(one))),
  reversePath: fc.constantFrom(
    null,
    mailbox('jane@example.org'),
    mailbox('x@example.net'),
    mailbox('y@elsewhere.test'),
  ),
  helo: fc.constantFrom('mx.example.org', 'MX.example.org', 'other'),
})
const recipient = fc.constantFrom(
  ...[
    'jane@example.org',
    'JANE@Example.ORG',
    'jane+x@example.net',
    'joe@a.example.org',
    'joe@xexample.net',
    'joe@localhost',
    'joe@nowhere.test',
  ].map(mailbox),
)

test('a long file routes as its rules read from the top', () => {
  fc.assert(
    fc.property(fc.array(rule, { minLength: 25, maxLength: 60 }), transaction, recipient, (rules, asked, to) => {
      const context = contextOf(
        ['action "one" relay host "smtp://one.example"', 'action "two" relay host "smtp://two.example"', ...rules].join(
          '\n',
        ),
        asked,
      )
      const first = context.configuration.rules.find((one) => firstFailure(one, context, to) === undefined)
      const found = route(context, to)
      assert.equal(found.rule?.line, first?.at.line)
    }),
    { numRuns: 300 },
  )
})

test('a rule whose table cannot be read is met where it stands, and none behind it decides', () => {
  const filler = Array.from({ length: 30 }, (_, index) => `match from any for domain "d${index}.test" action "one"`)
  const context = withFileTables(
    [
      'action "one" relay host "smtp://one.example"',
      ...filler,
      'match from src "192.0.2.0/24" for domain "example.org" action "one"',
      'match from any for domain "example.org" action "one"',
    ].join('\n'),
  )
  assert.throws(() => route(context, mailbox('jane@example.org')), TableError)
  assert.throws(() => route(context, mailbox('jane@example.net')), TableError, 'the table is asked before the domain')
  assert.equal(route(context, mailbox('jane@d3.test')).kind, 'relay')
})

test('thousands of rules for one large table, and thousands of tables for one domain, are read at once', () => {
  const large = Array.from({ length: 2_000 }, (_, index) => `"d${index}.test"`).join(', ')
  const context = contextOf(
    [
      `table large { ${large} }`,
      'action "one" relay host "smtp://one.example"',
      ...Array.from({ length: 3_000 }, (_, index) => `match from any tag "T${index}" for domain <large> action "one"`),
      ...Array.from(
        { length: 3_000 },
        (_, index) => `match from any tag "T${index}" for domain "same.test" action "one"`,
      ),
      'match from any for domain { "same.test", "d7.test" } action "one"',
    ].join('\n'),
  )
  const last = context.configuration.rules.length
  for (let round = 0; round < 50; round += 1) {
    assert.equal(route(context, mailbox('jane@same.test')).rule?.line, last + 2)
    assert.equal(route(context, mailbox('jane@d7.test')).rule?.line, last + 2)
  }
})

test('a recipient in a domain of ours is told apart from a stranger in a long file too', () => {
  const context = longFile('example.org', '*.wild.test')
  assert.match(refusal(context, 'nobody@EXAMPLE.org'), /Invalid recipient/)
  assert.match(refusal(context, 'nobody@a.wild.test'), /Invalid recipient/)
  assert.doesNotMatch(refusal(context, 'nobody@elsewhere.test'), /Invalid recipient/)
})

function longFile(...names: readonly string[]): RoutingContext {
  const rules = Array.from({ length: 30 }, (_, index) => `match from any for domain "d${index}.test" action "one"`)
  const tagged = names.map((name) => `match from any tag "Filtered" for domain "${name}" action "one"`)
  return contextOf(['action "one" relay host "smtp://one.example"', ...rules, ...tagged].join('\n'))
}

function refusal(context: RoutingContext, to: string): string {
  const found = route(context, mailbox(to))
  return found.kind === 'reject' ? found.reply.text : found.kind
}

/** Networks are in a file that is not there any more. */
function withFileTables(text: string): RoutingContext {
  const context = contextOf(text)
  const rules = context.configuration.rules.map((one) => ({
    ...one,
    conditions: one.conditions.map((condition) =>
      condition.kind === 'from-src' && condition.table !== undefined
        ? { ...condition, table: { ...condition.table, source: { kind: 'file', path: '/nonexistent' } as const } }
        : condition,
    ),
  }))
  return { ...context, configuration: { ...context.configuration, rules } }
}
