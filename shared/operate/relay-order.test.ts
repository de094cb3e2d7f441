import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loadConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import { readOrder } from './relay-order.ts'

const smtpdConf = '/etc/mail/smtpd.conf'
const policy = [
  'listen on lo port 25',
  'table secrets { me = "sluice:secret" }',
  'action "backup" relay host "smtp+tls://me@mx.backup.test:587" auth <secrets>',
  'match from any for any action "backup"',
  '',
].join('\n')

test('the password of a label goes to no host that an operator makes up, but who can read it may send it anywhere', async (t) => {
  const { configuration } = await loadConfiguration({ smtpdConf, texts: new Map([[smtpdConf, policy]]) })
  const tables = openTables()
  t.after(() => tables.close())
  const parts = { configuration, tables }
  for (const to of ['smtp+tls://me@MX.backup.test:587', 'smtps://me@mx.backup.test:587', 'smtp://evil.test'])
    assert.deepEqual(await readOrder(parts, { to }), { kind: 'host', url: to })
  for (const to of [
    'smtp+tls://me@evil.test:587',
    'smtp+tls://me@mx.backup.test',
    'smtps://me@mx.backup.test.evil.test:587',
  ]) {
    await assert.rejects(readOrder(parts, { to }), /the label "me" goes to hosts of relay actions alone/, to)
    assert.deepEqual(await readOrder({ ...parts, loginsAnywhere: true }, { to }), { kind: 'host', url: to })
  }
})
