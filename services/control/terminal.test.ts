import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'

import fc from 'fast-check'

import { openTerminal, visible } from './terminal.ts'

function streams(isTTY: boolean) {
  const output = Object.assign(new PassThrough(), { isTTY })
  return { input: Readable.from(['secret\n', 'more\n']), output, errors: new PassThrough() }
}

test('text of a message cannot drive the terminal', () => {
  assert.equal(visible('\u001b]0;title\u0007x\r\ny'), '\\u{1b}]0;title\\u{7}x\\u{d}\\u{a}y')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(visible(text), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
    }),
  )
})

test('a line that was not made harmless cannot drive the terminal, and JSON is still the same', async () => {
  const { output, errors, input } = streams(true)
  const { print, warn, write, paint } = openTerminal({ output, errors, input }, {})
  const hostile = '\u001b]0;title\u0007\u009b2J\u009d\u202e\u007f\u0008\r'
  print(`${paint('red', 'bad')} ${hostile}`)
  assert.equal(
    String(output.read()),
    '\u001b[31mbad\u001b[39m \\u001b]0;title\\u0007\\u009b2J\\u009d\\u202e\\u007f\\u0008\\u000d\n',
  )
  warn(`sluicectl: there is no ${hostile}`)
  print(JSON.stringify({ subject: hostile }, undefined, 2))
  const json = String(output.read())
  assert.deepEqual(JSON.parse(json), { subject: hostile })
  await write(Buffer.from('Subject: a\u001b[2J\r\n\tb \u00e4\u009b'))
  for (const text of [json, String(errors.read()), String(output.read())])
    assert.doesNotMatch(text.replaceAll('\r\n', ''), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test('octets of a message are written as they are where no terminal is', async () => {
  const { output, errors, input } = streams(false)
  const octets = Buffer.from([0x1b, 0x9b, 0xff, 0x0d, 0x0a])
  await openTerminal({ output, errors, input }, {}).write(octets)
  assert.deepEqual(output.read(), octets)
})

test('colours only on a terminal that wants them', () => {
  const table: readonly (readonly [boolean, NodeJS.ProcessEnv, boolean])[] = [
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
  ]
  for (const [isTTY, environment, coloured] of table) {
    const text = openTerminal(streams(isTTY), environment).paint('red', 'x')
    assert.equal(text !== 'x', coloured)
  }
})

test('a password is read from standard input without being printed', async () => {
  const parts = streams(false)
  const terminal = openTerminal(parts, {})
  assert.equal(await terminal.askSecret('Password: '), 'secret')
  assert.equal(parts.output.read(), null)
  assert.equal(parts.errors.read(), null)
})

test('who sits before a terminal is asked, and yes alone is yes', async () => {
  const asked = async (...typed: readonly string[]): Promise<boolean> => {
    const parts = { ...streams(true), input: Object.assign(Readable.from(typed), { isTTY: true }) }
    const terminal = openTerminal({ ...parts, errors: Object.assign(new PassThrough(), { isTTY: true }) }, {})
    assert.equal(terminal.isWatched, true)
    return terminal.confirm('remove 3 messages?')
  }
  assert.deepEqual(
    await Promise.all([asked('y\n'), asked('YES\n'), asked('\n'), asked('yeah\n'), asked('n\ny\n'), asked()]),
    [true, true, false, false, false, false],
  )
  assert.equal(openTerminal(streams(true), {}).isWatched, false)
})
