import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { HeaderEdit } from '../mail/header-edit.ts'
import { editStages } from './edit-stages.ts'
import type { JobView } from './views.ts'

const add = (name: string): HeaderEdit => ({ kind: 'prepend', fields: `${name}: a\r\n\tb\r\n` })
const remove: HeaderEdit = { kind: 'remove', name: 'X-Spam' }
const replace: HeaderEdit = { kind: 'replace', name: 'Subject', field: 'Subject: [SPAM] x\r\n' }

function job(queue: string, path: readonly string[], edits: readonly HeaderEdit[]): JobView {
  return { queue, path, edits } as unknown as JobView
}

const told = (stages: ReturnType<typeof editStages>) =>
  stages.map(({ stage, changes }) => [stage, ...changes.map(({ kind, text }) => `${kind} ${text}`)])

test('each stage is told with what it added, removed and changed', () => {
  const accepted = [add('Received')]
  const filtered = [...accepted, remove, replace, add('X-Spam')]
  const jobs = [
    job('sign', ['filter'], filtered),
    job('filter', [], accepted),
    job('relay', ['filter', 'sign'], [...filtered, add('DKIM-Signature')]),
    job('deliver', ['filter'], filtered),
  ]
  const stages = [
    ['acceptance', 'added Received: a\tb'],
    ['filter', 'removed X-Spam', 'changed Subject: [SPAM] x', 'added X-Spam: a\tb'],
    ['sign', 'added DKIM-Signature: a\tb'],
  ]
  assert.deepEqual(told(editStages(accepted, jobs, [])), stages)
  assert.deepEqual(told(editStages(undefined, jobs, [])), stages)
  // The jobs in between are gone: nobody knows which of them it was.
  assert.deepEqual(told(editStages(accepted, [job('relay', ['filter', 'sign'], [...filtered, add('X')])], [])), [
    stages[0],
    ['filter, sign', 'removed X-Spam', 'changed Subject: [SPAM] x', 'added X-Spam: a\tb', 'added X: a\tb'],
  ])
  assert.deepEqual(editStages(undefined, [], []), [])
})

test('what the journal says of arrivals counts when the jobs are gone', () => {
  const line = (queue: string, arrival: object) => ({ at: 1, event: 'routed', queue, arrival })
  const story = [
    line('filter', {}),
    line('sign', { path: ['filter'], edits: [add('X-Spam')] }),
    line('relay', { path: ['filter', 'sign'], edits: [add('X-Spam'), add('DKIM-Signature')] }),
    { at: 1, event: 'routed', queue: 'x', arrival: null },
    { at: 1, event: 'routed', arrival: {} },
  ]
  assert.deepEqual(told(editStages([add('Received')], [], story)), [
    ['acceptance', 'added Received: a\tb'],
    ['filter', 'added X-Spam: a\tb'],
    ['sign', 'added DKIM-Signature: a\tb'],
  ])
})
