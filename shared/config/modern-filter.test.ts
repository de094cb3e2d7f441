import assert from 'node:assert/strict'
import { test } from 'node:test'

import { filtersNamed } from './modern-filter.ts'
import { parseText } from './oracle-fixture.ts'

const rules = 'action "out" relay\nmatch for any action "out"\n'

/** `code@column` of each diagnostic that is no refusal of a feature, and the hint. */
function told(text: string): readonly string[] {
  return parseText(`${rules}${text}\n`)
    .diagnostics.filter(({ code }) => code !== 'unsupported')
    .map(({ code, span, hint }) => `${code}@${span.line - 2}:${span.column}${hint === undefined ? '' : ` ${hint}`}`)
}

function filters(text: string, name: string) {
  return filtersNamed(parseText(`${rules}${text}\n`).draft, name)
}

test('a built-in filter is read as its phase, its condition and its decision', () => {
  const cases = [
    [
      'connect match !fcrdns disconnect "550 no name"',
      'connect',
      { kind: 'fcrdns', not: true, regex: false },
      { kind: 'disconnect', text: '550 no name' },
    ],
    ['connect match rdns junk', 'connect', { kind: 'rdns', not: false, regex: false }, { kind: 'junk' }],
    [
      'mail-from match ! auth reject "550 x"',
      'mail-from',
      { kind: 'auth', not: true, regex: false },
      { kind: 'reject', text: '550 x' },
    ],
  ] as const
  for (const [text, phase, condition, decision] of cases) {
    const [filter] = filters(`filter f phase ${text}`, 'f')
    assert.ok(filter?.kind === 'builtin', text)
    assert.deepEqual([filter.phase, filter.condition, filter.decision], [phase, condition, decision])
  }
  const [filter] = filters('filter f phase rcpt-to match rcpt-to regex { "^x", "y$" } rewrite "<z@a>"', 'f')
  assert.ok(filter?.kind === 'builtin')
  assert.equal(filter.condition.regex, true)
  assert.deepEqual(filter.condition.table?.source, { kind: 'inline', list: ['^x', 'y$'] })
  assert.deepEqual(filter.decision, { kind: 'rewrite', value: '<z@a>' })
})

test('a chain is its filters in their order', () => {
  const text = 'filter a phase connect match rdns junk\nfilter b phase helo match rdns bypass\nfilter c chain { b, a }'
  assert.deepEqual(
    filters(text, 'c').map(({ name }) => name),
    ['b', 'a'],
  )
})

test('filters of one proc share its process', () => {
  const text = 'proc p "filter-x -v"\nfilter a proc p\nfilter b proc p\nfilter c proc-exec "/bin/x"'
  const { draft } = parseText(`${rules}${text}\n`)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => filtersNamed(draft, name)[0])
  assert.ok(a?.kind === 'process' && b?.kind === 'process' && c?.kind === 'process')
  assert.equal(a.process, b.process)
  assert.deepEqual([a.process.command, c.process.command], ['filter-x -v', '/bin/x'])
  assert.notEqual(a.process, c.process)
})

test('a filter that could not do what it says is refused when the file is loaded', () => {
  const one = 'filter a phase connect match rdns junk\n'
  const cases: readonly (readonly [text: string, ...expected: string[]])[] = [
    [
      'filter f phase connect match rdns fcrdns junk',
      'syntax@1:35 declare a filter for each and chain them: `filter "all" chain { "one", "other" }`',
    ],
    ['filter f phase connect match rdns reject "go away"', 'value@1:42 write "550 go away"'],
    ['filter f phase connect match rdns disconnect "250 fine"', 'value@1:46 write "550 250 fine"'],
    ['filter f phase mail-from match rcpt-to x junk', 'syntax@1:32 one of: fcrdns, rdns, src, helo, auth, mail-from'],
    ['filter f phase commit match auth junk', 'syntax@1:34 one of: reject, disconnect, rewrite, report'],
    ['filter f phase commit match auth bypass', 'syntax@1:34 one of: reject, disconnect, rewrite, report'],
    [`${one}filter b chain { a }\nfilter c chain { b }`, 'conflict@3:18 name its filters here instead'],
    [`${one}filter b chain { a, a }`, 'duplicate@2:21'],
    ['proc p "x"\nfilter a proc p\nfilter b proc p\nfilter c chain { a, b }', 'duplicate@4:21'],
    ['filter f proc p', 'unknown-name@1:15 declare it before: proc "p" "command"'],
    ['filter f chain { nothere }', 'unknown-name@1:18 declare it before: filter "nothere" ...'],
    [
      'filter f phase data match auth rewrite "x"',
      'value@1:32 rewrite is for the phases helo, ehlo, mail-from, rcpt-to',
    ],
    ['proc p "x" user "_x" user "_y"', 'duplicate@1:22 keep one of the two'],
    ['proc p "x" folder "/"', 'unknown-keyword@1:12 one of: user, group, chroot'],
  ]
  for (const [text, ...expected] of cases) assert.deepEqual(told(text), expected, text)
})
