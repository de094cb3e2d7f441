import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lacksOf } from './readiness.ts'

const spool = { check: async () => {} }
const away = { connected: false }

test('without Redis a worker is not ready, and mail still comes in', async () => {
  assert.deepEqual(await lacksOf('filter', { spool, queues: away }), ['Redis does not answer'])
  assert.deepEqual(await lacksOf('inbound', { spool, queues: away }), [])
  assert.deepEqual(await lacksOf('filter', { spool, queues: { connected: true } }), [])
})

test('without a spool nobody is ready, and why is told', async () => {
  const broken = {
    check: async () => {
      throw new Error('read-only file system')
    },
  }
  const told = ['the spool cannot be written to: read-only file system']
  assert.deepEqual(await lacksOf('inbound', { spool: broken, queues: away }), told)
  assert.deepEqual(await lacksOf('relay', { spool: broken, queues: away }), ['Redis does not answer', ...told])
})
