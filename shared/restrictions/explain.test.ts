import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { loadConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Transaction } from '../routing/transaction.ts'
import { explainRestrictions, renderRestrictions } from './explain.ts'
import { zoneResolver } from './testing.ts'

const zone = { 'mx there.example': ['mx.there.example'], 'a 9.113.0.203.zen.spamhaus.org': ['127.0.0.4'] }

async function ask(changes: Partial<Transaction>, recipient = 'tintin@mondomaine.example') {
  const fixture = (file: string): string => fileURLToPath(new URL(`../../test/fixtures/seeds/${file}`, import.meta.url))
  const paths = { smtpdConf: fixture('s0.smtpd.conf'), pipelineConf: fixture('s0.pipeline.conf') }
  const { configuration } = await loadConfiguration({ ...paths, hostname: 'mail.example.org' })
  const [listener] = configuration.listeners
  assert.ok(listener)
  const usual = { peer: { address: '203.0.113.5' }, helo: 'mail.there.example', tls: false, tags: [] }
  const explanation = await explainRestrictions({
    configuration,
    listener,
    transaction: { ...usual, reversePath: 'a@there.example' as Mailbox, ...changes },
    recipient: recipient as Mailbox,
    tables: openTables(),
    resolver: zoneResolver(zone),
    localAddresses: new Set(),
    nowAt: 0,
  })
  return explanation === undefined ? undefined : renderRestrictions(explanation).replaceAll(/\S+\/(?=s0\.)/g, '')
}

test('the restriction that refuses is named, with those before it', async () => {
  assert.equal(
    await ask({ peer: { address: '203.0.113.9' } }),
    [
      'restrictions of the listener on 127.0.0.1 port 25',
      '  s0.pipeline.conf:11: restrict connect permit from <mynetworks>',
      '    no',
      '  s0.pipeline.conf:12: restrict connect permit own-addresses',
      '    no',
      '  s0.pipeline.conf:13: restrict connect permit authenticated',
      '    no',
      '  s0.pipeline.conf:14: restrict connect reject dnsbl "zen.spamhaus.org"',
      '    refuses: 554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org',
      '  => refused: 554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org',
    ].join('\n'),
  )
})

test('a permit ends its list, and not the others', async () => {
  const told = (await ask({ peer: { address: '192.168.1.7' }, helo: 'nodots' })) ?? ''
  assert.equal(told.split('permits: the list ends').length, 4)
  assert.ok(told.endsWith('=> not refused'), told)
  const relayed = await ask({ reversePath: null }, 'x@there.example')
  assert.match(relayed ?? '', /=> refused: 554 5\.7\.1 <x@there\.example>: Relay access denied$/)
})

test('mail that is made here asks no restriction', async () => {
  assert.equal(await ask({ peer: 'local' }), undefined)
})
