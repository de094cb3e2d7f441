import assert from 'node:assert/strict'
import { test } from 'node:test'

import { textTable } from './text-table.ts'

test('columns are aligned and nothing is cut', () => {
  const lines = textTable(
    [{ title: 'queue' }, { title: 'jobs', align: 'right' }, { title: 'note' }],
    [
      ['filter', '7', ''],
      ['a-very-long-name', '12345', '\u001b[31mred\u001b[39m'],
    ],
  )
  assert.deepEqual(lines, [
    'queue              jobs  note',
    'filter                7',
    'a-very-long-name  12345  \u001b[31mred\u001b[39m',
  ])
})
