import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { configLines, parseMessage, reportLine, requestLine } from './protocol.ts'
import type { ProtocolVersion } from './protocol.ts'

const at = 1_795_222_249_886.342

function fieldsOf(version: ProtocolVersion, event: string, ...fields: readonly string[]): string {
  return reportLine(version, at, event, 'ab', fields).split('|').slice(6).join('|')
}

test('each version is spoken in its own order of fields', () => {
  assert.equal(
    reportLine('0.7', at, 'tx-mail', 'ab', ['01', 'ok', 'a@b']),
    'report|0.7|1795222249.886342|smtp-in|tx-mail|ab|01|ok|a@b',
  )
  assert.equal(fieldsOf('0.6', 'tx-rcpt', '01', 'ok', 'a@b'), '01|ok|a@b')
  assert.equal(fieldsOf('0.5', 'tx-rcpt', '01', 'ok', 'a@b'), '01|a@b|ok')
  assert.equal(fieldsOf('0.7', 'link-auth', 'pass', 'joe'), 'pass|joe')
  assert.equal(fieldsOf('0.6', 'link-auth', 'pass', 'joe'), 'joe|pass')
  const request = { session: 'ab', token: 'cd', fields: [''] }
  assert.equal(requestLine('0.5', 0, 'data', request), 'filter|0.5|0.000000|smtp-in|data|ab|cd|')
  assert.equal(requestLine('0.4', 0, 'data', request), 'filter|0.4|0.000000|smtp-in|data|cd|ab|')
  assert.ok(!configLines('0.6', 'a.org', 300_000).some((line) => line.startsWith('config|protocol')))
})

test('answers are read in the order of their version', () => {
  const answer = { kind: 'reject', text: '550 no | really' } as const
  const expected = { kind: 'result', session: 'ab', token: 'cd', answer } as const
  assert.deepEqual(parseMessage('0.5', 'filter-result|ab|cd|reject|550 no | really'), expected)
  assert.deepEqual(parseMessage('0.4', 'filter-result|cd|ab|reject|550 no | really'), expected)
  assert.deepEqual(parseMessage('0.7', 'filter-dataline|ab|cd|'), {
    kind: 'line',
    session: 'ab',
    token: 'cd',
    line: '',
  })
  for (const line of ['', 'debug', 'filter-result|ab|cd', 'filter-result|ab|cd|what', 'filter-result|ab|cd|reject'])
    assert.equal(parseMessage('0.7', line), undefined, line)
})

test('nothing a client says becomes another line or another field', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (user, last) => {
      const line = reportLine('0.6', at, 'link-auth', 'ab', [last, user])
      assert.ok(!/[\r\n]/.test(line))
      assert.equal(reportLine('0.6', at, 'link-auth', 'ab', ['pass', user]).split('|').length, 8)
    }),
  )
})
