import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatReply } from '../../shared/mail/reply.ts'
import { findMailHosts } from './mail-hosts.ts'
import type { MailHostOptions } from './mail-hosts.ts'
import { ownHost } from './own-host.ts'
import { fakeResolver, stageContext } from './testing.ts'
import type { Zones } from './testing.ts'

async function find(domain: string, zones: Zones, more: Partial<MailHostOptions> = {}): Promise<string[]> {
  const options = { resolver: fakeResolver(zones), isOurs: () => false, random: () => 0.5, ...more }
  const found = await findMailHosts(domain, options)
  if (found.kind === 'refused') return [formatReply(found.reply)]
  return found.hosts.map((host) => `${host.preference} ${host.name} ${host.addresses.join(' ')}`)
}

const mx = (exchange: string, priority: number) => ({ exchange, priority })

test('hosts come by preference, IPv6 addresses before IPv4', async () => {
  const zones = {
    mx: { 'far.test': [mx('B.far.test', 20), mx('a.far.test.', 10)] },
    a: { 'a.far.test': ['192.0.2.1'], 'b.far.test': ['192.0.2.2', '192.0.2.3'] },
    aaaa: { 'a.far.test': ['2001:db8::1'] },
  }
  assert.deepEqual(await find('far.test', zones), [
    '10 a.far.test 2001:db8::1 192.0.2.1',
    '20 b.far.test 192.0.2.2 192.0.2.3',
  ])
})

test('hosts of equal preference share the load', async () => {
  const zones = {
    mx: { 'far.test': [mx('a', 10), mx('b', 10), mx('c', 5)] },
    a: { a: ['192.0.2.1'], b: ['192.0.2.2'], c: ['192.0.2.3'] },
  }
  const lots = (numbers: number[]) => ({ random: () => numbers.shift() ?? 0 })
  assert.deepEqual(await find('far.test', zones, lots([0.9, 0.1, 0.5])), [
    '5 c 192.0.2.3',
    '10 b 192.0.2.2',
    '10 a 192.0.2.1',
  ])
  assert.deepEqual(await find('far.test', zones, lots([0.1, 0.9, 0.5])), [
    '5 c 192.0.2.3',
    '10 a 192.0.2.1',
    '10 b 192.0.2.2',
  ])
})

test('a domain without MX is its own mail host', async () => {
  assert.deepEqual(await find('far.test', { a: { 'far.test': ['192.0.2.1'] } }), ['0 far.test 192.0.2.1'])
})

test('a null MX fails at once, also in the form of localhost', async () => {
  for (const exchange of ['', '.', 'localhost', 'localhost.'])
    assert.match((await find('far.test', { mx: { 'far.test': [mx(exchange, 0)] } }))[0] ?? '', /^556 5\.1\.10 /)
})

test('a domain that does not exist, or has no host with an address, fails', async () => {
  assert.match((await find('none.test', {}))[0] ?? '', /^550 5\.1\.2 .* does not exist/)
  assert.match(
    (await find('far.test', { mx: { 'far.test': [mx('gone.test', 1)] } }))[0] ?? '',
    /^550 5\.1\.2 .*no host with an address/,
  )
  assert.match(
    (await find('far.test', { mx: { 'x.test': 'fail' }, aaaa: { 'far.test': [] } }))[0] ?? '',
    /^550 5\.1\.2 /,
  )
})

test('a DNS that does not answer means later, never failure', async () => {
  assert.match((await find('far.test', { mx: { 'far.test': 'fail' } }))[0] ?? '', /^451 4\.4\.3 /)
  const hostFails = { mx: { 'far.test': [mx('a', 1), mx('gone', 2)] }, a: { a: 'fail' } } as const
  assert.match((await find('far.test', hostFails))[0] ?? '', /^451 4\.4\.3 /)
})

test('a host whose IPv6 look-up fails is still reached by IPv4', async () => {
  const zones = { mx: { 'far.test': [mx('a', 1)] }, aaaa: { a: 'fail' }, a: { a: ['192.0.2.1'] } } as const
  assert.deepEqual(await find('far.test', zones), ['1 a 192.0.2.1'])
})

test('an address literal needs no look-up', async () => {
  assert.deepEqual(await find('[192.0.2.1]', {}), ['0 192.0.2.1 192.0.2.1'])
  assert.deepEqual(await find('[IPv6:2001:db8::1]', {}), ['0 2001:db8::1 2001:db8::1'])
})

test('as a backup we send to better hosts only; as the best we would talk to ourselves', async () => {
  const zones = {
    mx: { 'far.test': [mx('best', 5), mx('us', 10), mx('worse', 20)] },
    a: { best: ['192.0.2.1'], us: ['192.0.2.2'], worse: ['192.0.2.3'] },
  }
  const isOurs: MailHostOptions['isOurs'] = (host) => host.name === 'us'
  assert.deepEqual(await find('far.test', zones, { isOurs }), ['5 best 192.0.2.1'])
  const first = { ...zones, mx: { 'far.test': [mx('us', 1), mx('worse', 20)] } }
  assert.match((await find('far.test', first, { isOurs }))[0] ?? '', /^554 5\.4\.6 /)
})

test('we know ourselves by name, and by address and port of a listener', () => {
  const { configuration } = stageContext({
    listeners: [
      { on: '192.0.2.10', port: 25 },
      { on: 'eth0', port: 2525 },
    ],
  })
  const host = (name: string, ...addresses: string[]) => ({ name, addresses })
  const atSmtp = ownHost(configuration, 25, ['10.0.0.1'])
  assert.ok(atSmtp(host('mail.example.org', '203.0.113.1')))
  assert.ok(atSmtp(host('mx.far.test', '203.0.113.1', '192.0.2.10')))
  assert.ok(!atSmtp(host('mx.far.test', '10.0.0.1')), 'nothing of ours listens there on port 25')
  assert.ok(ownHost(configuration, 2525, ['10.0.0.1'])(host('mx.far.test', '10.0.0.1')))
})
