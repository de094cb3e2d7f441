import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Action, Configuration, Table } from '../config/model.ts'
import { isCarriedOutIn } from './carried-out.ts'

const at = { file: 'smtpd.conf', line: 1, column: 1 }
const host = (url: string): Table => ({ name: 'h', source: { kind: 'inline', list: [url] }, at })
const actions = new Map<string, Action>([
  ['here', { kind: 'local', method: { kind: 'maildir', path: 'm', junk: false }, name: 'here', at }],
  ['out', { kind: 'relay', srs: false, name: 'out', at }],
  ['hub', { kind: 'relay', srs: false, name: 'hub', at, host: host('smtp://hub.test') }],
  ['scan', { kind: 'relay', srs: false, name: 'scan', at, host: host('queue://filter') }],
])
const filter = { name: 'filter', tag: 'Filtered', concurrency: 1, timeoutMs: 1, onFailure: 'defer' } as const
const configuration = { actions, pipeline: { queues: new Map([['filter', filter]]) } } as unknown as Configuration

test('a queued action is carried out where it was queued, or not at all', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['deliver', 'here', true],
    ['relay', 'here', false],
    ['relay', 'out', true],
    ['relay', 'hub', true],
    ['deliver', 'out', false],
    ['relay', 'scan', false],
    ['relay', 'gone', false],
  ]
  for (const [queue, action, expected] of cases)
    assert.equal(isCarriedOutIn(queue, action, configuration), expected, `${action} in ${queue}`)
})
