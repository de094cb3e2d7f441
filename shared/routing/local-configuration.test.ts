import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import { formatReply } from '../mail/reply.ts'
import { resolveRecipient } from './expand.ts'
import { journeyOf } from './journey.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

const folder = mkdtempSync(join(tmpdir(), 'local-'))
const deploy = fileURLToPath(new URL('../../deploy/local/', import.meta.url))
let loaded: LoadedConfiguration

before(async () => {
  for (const name of ['cert.pem', 'key.pem', 'dkim.pem']) writeFileSync(join(folder, name), 'x')
  writeFileSync(join(folder, 'accounts'), 'joe $2b$10$x\nann $2b$10$y\njane $2b$10$z\n')
  loaded = await loadConfiguration({
    smtpdConf: `${deploy}smtpd.conf`,
    pipelineConf: `${deploy}pipeline.conf`,
    hostname: 'mail.home.test',
    definitions: {
      tls_cert: join(folder, 'cert.pem'),
      tls_key: join(folder, 'key.pem'),
      accounts: join(folder, 'accounts'),
      maildir: join(folder, 'mail/%{user.username}'),
      dkim_key: join(folder, 'dkim.pem'),
    },
  })
})
after(() => rmSync(folder, { recursive: true }))

const stranger: Partial<Transaction> = { peer: { address: '192.0.2.1' } }
const joe: Partial<Transaction> = { peer: { address: '127.0.0.1' }, user: 'joe', tls: true }
const here: Partial<Transaction> = { peer: 'local' }

function context(changes: Partial<Transaction>): RoutingContext {
  return {
    configuration: loaded.configuration,
    tables: openTables(),
    localAddresses: new Set(['127.0.0.1', '::1']),
    transaction: { peer: 'local', tls: false, tags: [], reversePath: null, ...changes },
  }
}

/** The way in words: queues, then the end. */
function way(changes: Partial<Transaction>, recipient: string): string {
  return journeyOf(context(changes), recipient as Mailbox)
    .steps.map(({ route }) => {
      switch (route.kind) {
        case 'stage':
          return route.queue
        case 'local':
          return route.action
        case 'relay':
          return `${route.action} to ${route.destination}`
        case 'reject':
          return formatReply(route.reply)
      }
    })
    .join(' > ')
}

test('the first installation loads without a warning and listens on this machine only', () => {
  assert.deepEqual(loaded.warnings, [])
  assert.deepEqual(
    loaded.configuration.listeners.map(({ on, port, tls, auth }) => [on, port, tls, auth.kind]),
    [
      ['127.0.0.1', 2525, 'offered', 'none'],
      ['127.0.0.1', 2587, 'required', 'required'],
      ['127.0.0.1', 2465, 'implicit', 'required'],
    ],
  )
})

test('a stranger reaches our users through the filter', () => {
  for (const domain of ['sluice.test', 'localhost', 'mail.home.test']) {
    assert.equal(way(stranger, `joe@${domain}`), 'filter > mailbox')
  }
})

test('a stranger may not relay', () => {
  assert.equal(way(stranger, 'joe@far.test'), '550 5.7.1 Relaying denied')
  assert.equal(way({ peer: { address: '127.0.0.1' } }, 'joe@far.test'), '550 5.7.1 Relaying denied')
})

test('our users reach the world and each other through the signer', () => {
  assert.equal(way(joe, 'bob@far.test'), 'sign > outbound to far.test')
  assert.equal(way(joe, 'ann@sluice.test'), 'sign > mailbox')
})

test('reports of this server are signed too, inside and outside', () => {
  assert.equal(way(here, 'bob@far.test'), 'sign > outbound to far.test')
  assert.equal(way(here, 'joe@sluice.test'), 'sign > mailbox')
})

test('an unknown user is refused when his name is given', () => {
  for (const who of [stranger, joe]) {
    const answer = resolveRecipient(context(who), 'nobody@sluice.test' as Mailbox)
    assert.ok(answer.kind === 'rejected')
    assert.equal(formatReply(answer.reply), '550 5.1.1 Invalid recipient: <nobody@sluice.test>')
  }
  const known = resolveRecipient(context(stranger), 'Joe+lists@sluice.test' as Mailbox)
  assert.ok(known.kind === 'accepted')
  assert.deepEqual(
    known.recipients.map(({ mailbox, route }) => [mailbox, route.kind]),
    [['Joe+lists@sluice.test', 'stage']],
  )
})

test('mail for postmaster is taken, as every server must (RFC 5321 4.5.1), and reaches the first account', () => {
  for (const address of ['postmaster@localhost', 'POSTMASTER@sluice.test', 'abuse@mail.home.test']) {
    const resolution = resolveRecipient(context(stranger), address as Mailbox)
    assert.ok(resolution.kind === 'accepted', address)
    assert.ok(
      resolution.recipients.every(({ mailbox }) => mailbox.startsWith('jane@')),
      address,
    )
  }
})
