import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createProgress } from './progress.ts'

function screen(isTTY: boolean): { readonly isTTY: boolean; readonly written: string[]; write(text: string): void } {
  const written: string[] = []
  return { isTTY, written, write: (text) => void written.push(text) }
}

test('a bar is drawn over itself, not too often, and is gone when something else is printed', () => {
  const stream = screen(true)
  let now = 0
  const progress = createProgress(stream, 200, () => now)
  progress.show(50, '5 messages')
  progress.show(60, 'too soon')
  now = 1_000
  progress.show(300, '9 messages')
  progress.clear()
  progress.clear()
  assert.deepEqual(stream.written, [
    `\r\u001b[K[${'#'.repeat(8)}${'.'.repeat(22)}]  25 %  5 messages`,
    `\r\u001b[K[${'#'.repeat(30)}] 100 %  9 messages`,
    '\r\u001b[K',
  ])
})

test('nothing is drawn into a file, and without a known end there is no bar', () => {
  const file = screen(false)
  createProgress(file, 200).show(50, '5 messages')
  assert.deepEqual(file.written, [])
  const terminal = screen(true)
  createProgress(terminal, undefined).show(50, '5 messages')
  assert.deepEqual(terminal.written, ['\r\u001b[K5 messages'])
})
