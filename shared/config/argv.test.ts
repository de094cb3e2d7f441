import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { CommandError, expandCommand, faultOfCommand, parseCommand } from './argv.ts'

const format = {
  sender: 'ann@example.net',
  rcpt: 'Joe+lists@example.org',
  dest: 'joe+lists@example.org',
  username: 'joe',
  directory: '/home/joe doe',
}
const variables = new Map([
  ['EXTENSION', 'lists'],
  ['SENDER', 'ann@example.net'],
])

function argv(text: string, change: Partial<typeof format> = {}, mda?: readonly string[]): readonly string[] {
  const values = { format: { ...format, ...change }, variables, delimiter: '+', ...(mda === undefined ? {} : { mda }) }
  return expandCommand(parseCommand(text), values)
}

test('a command is split as a shell does, and values are put in when its words are whole', () => {
  assert.deepEqual(argv('/bin/a  b\t"c d" \'e "f\' g\\ h "i\\"j" k\\\\'), [
    '/bin/a',
    'b',
    'c d',
    'e "f',
    'g h',
    'i"j',
    'k\\',
  ])
  assert.deepEqual(argv('procmail -a "$EXTENSION" -f %{sender}'), ['procmail', '-a', 'lists', '-f', 'ann@example.net'])
  assert.deepEqual(argv('x %{user.username}-%{dest.domain[0:2]:uppercase} 100%%'), ['x', 'joe-EXA', '100%'])
  assert.deepEqual(argv('~/bin/sort %{user.directory}/x ""'), ['/home/joe doe/bin/sort', '/home/joe doe/x', ''])
  assert.deepEqual(argv('x ${LOCAL} "$LOCAL" \'$LOCAL\''), ['x', '', '$LOCAL'])
})

test('no value makes an argument of its own, an option, or a word of a shell', () => {
  const hostile = { sender: '"a b; $(touch x) `y` > z \' #"@x.org' }
  assert.deepEqual(argv('x %{sender}', hostile), ['x', ':a:b::::touch:x:::y::::z:::::@x.org'])
  assert.deepEqual(argv('x %{sender:raw}', hostile), ['x', hostile.sender])
  assert.deepEqual(argv('x %{sender} -f%{sender} -- %{sender:raw}', { sender: '-rf@x.org' }), [
    'x',
    ':rf@x.org',
    '-f-rf@x.org',
    '--',
    '-rf@x.org',
  ])
})

test('a wrapper has the words of the wrapped command in it', () => {
  assert.deepEqual(argv('nice -n 5 %{mda}', {}, ['/bin/x', 'a b']), ['nice', '-n', '5', '/bin/x', 'a b'])
  assert.equal(faultOfCommand('nice %{mda}', 'wrapper'), undefined)
  assert.match(faultOfCommand('nice "x %{mda}"', 'wrapper') ?? '', /as one word, once/)
  assert.match(faultOfCommand('nice', 'wrapper') ?? '', /as one word, once/)
  assert.match(faultOfCommand('x %{mda}', 'mda') ?? '', /only a wrapper/)
})

test('what needs a shell is refused, and so is a value in the text of one', () => {
  for (const text of ['a | b', 'a && b', 'a; b', 'a > b', 'a `b`', 'a "`b`"', 'a $(b)', 'a *.txt', 'a ~/b', 'a # b'])
    assert.match(faultOfCommand(text, 'mda') ?? '', /without a shell/, text)
  for (const text of ['sh -c "x %{sender}"', '/bin/bash -ec "x $SENDER"', "env sh -c 'x %{user.username:raw}'"])
    assert.match(faultOfCommand(text, 'mda') ?? '', /could be a command/, text)
  for (const text of ['sh -c \'x "$1" "$SENDER"\' sh %{sender}', '/bin/sh /etc/mail/x %{sender}'])
    assert.equal(faultOfCommand(text, 'mda'), undefined, text)
})

test('a command that makes no sense is told when it is read', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /empty/],
    ['%{sender} x', /depends on the message/],
    ['$SENDER', /depends on the message/],
    ['A=b x', /env/],
    ['x "a', /no end/],
    ['x %{sender', /no "}"/],
    ['x %{nobody}', /no format specifier/],
    ['x $TERM', /no variable TERM/],
  ]
  for (const [text, expected] of cases) assert.match(faultOfCommand(text, 'mda') ?? '', expected, text)
})

test('whatever a sender is called, the words stay as many, and only the asked one changes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary-ascii', minLength: 1 }).map((text) => text.replaceAll('\0', '')),
      (sender) => {
        const words = argv('x -f "%{sender}" "%{sender:raw}" "$SENDER" y', { sender })
        assert.equal(words.length, 6)
        assert.deepEqual([words[0], words[1], words[5]], ['x', '-f', 'y'])
        assert.doesNotMatch(words[2] ?? '', /^-|[\s"'`$;&|<>()\\*?#]/)
      },
    ),
  )
})

test('no text makes the splitter throw anything but its own refusal', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', "'", '\\', '$', '{', '}', '%', 'a', ' ', '~', '-', 'sh') }),
      (text) => {
        try {
          parseCommand(text)
        } catch (error) {
          assert.ok(error instanceof CommandError)
        }
      },
    ),
  )
})
