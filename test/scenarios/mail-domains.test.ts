import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type DnsServer, type DnsZone, startDns } from '../support/dns.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "out" relay
match from local for any action "out"
`

interface Case {
  readonly why: string
  /** The zone of `ann@x.test`. */
  readonly zone: DnsZone
  readonly outcome: 'relayed' | 'delayed' | 'failed'
  readonly reply: RegExp
}

const here = '127.0.0.1'
const arrives = { outcome: 'relayed', reply: /^250 / } as const
const never = { outcome: 'failed' } as const
const later = { outcome: 'delayed', reply: /^451 4\.4\.3 The mail servers of x\.test could not be looked up/ } as const
const absent = /^550 5\.1\.2 The domain x\.test does not exist/
const hostless = /^550 5\.1\.2 The domain x\.test has no mail server: no host with an address/

const cases: readonly Case[] = [
  { why: 'NXDOMAIN', zone: { 'x.test': 'NXDOMAIN' }, ...never, reply: absent },
  { why: 'NODATA for all types', zone: { 'x.test': { TXT: ['nothing else'] } }, ...never, reply: hostless },
  { why: 'NODATA for MX, with an address', zone: { 'x.test': { A: [here] } }, ...arrives },
  { why: 'SERVFAIL for MX', zone: { 'x.test': 'SERVFAIL' }, ...later },
  { why: 'REFUSED for MX', zone: { 'x.test': 'REFUSED' }, ...later },
  { why: 'no answer for MX', zone: { 'x.test': 'TIMEOUT' }, ...later },
  {
    why: 'SERVFAIL for MX, with an address',
    zone: { 'x.test MX': 'SERVFAIL', 'x.test': { A: [here] } },
    ...later,
  },
  {
    why: 'SERVFAIL for the addresses of the only MX',
    zone: { 'x.test': { MX: [[1, 'a.test']] }, 'a.test': 'SERVFAIL' },
    ...later,
  },
  {
    why: 'SERVFAIL for its IPv6 address alone',
    zone: { 'x.test': { MX: [[1, 'a.test']] }, 'a.test': { A: [here] }, 'a.test AAAA': 'SERVFAIL' },
    ...arrives,
  },
  { why: 'a null MX', zone: { 'x.test': { MX: [[0, '.']], A: [here] } }, ...never, reply: /^556 5\.1\.10 / },
  {
    why: 'localhost as its MX',
    zone: { 'x.test': { MX: [[0, 'localhost']], A: [here] } },
    ...never,
    reply: /^556 5\.1\.10 /,
  },
  {
    why: 'localhost beside a proper MX',
    zone: {
      'x.test': {
        MX: [
          [0, 'localhost'],
          [5, 'a.test'],
        ],
      },
      'a.test': { A: [here] },
    },
    ...arrives,
  },
  {
    why: 'an MX that is not there',
    zone: { 'x.test': { MX: [[1, 'gone.test']], A: [here] } },
    ...never,
    reply: hostless,
  },
  {
    why: 'an MX that is not there beside one that is',
    zone: {
      'x.test': {
        MX: [
          [1, 'gone.test'],
          [2, 'a.test'],
        ],
      },
      'a.test': { A: [here] },
    },
    ...arrives,
  },
  {
    why: 'an alias (CNAME) in place of the domain',
    zone: { 'x.test': { CNAME: 'y.test' }, 'y.test': { MX: [[1, 'a.test']] }, 'a.test': { A: [here] } },
    ...arrives,
  },
  {
    why: 'an alias that leads nowhere',
    zone: { 'x.test': { CNAME: 'y.test' }, 'y.test': 'NXDOMAIN' },
    ...never,
    reply: absent,
  },
  {
    why: 'an MX that is an alias (CNAME)',
    zone: { 'x.test': { MX: [[1, 'a.test']] }, 'a.test': { CNAME: 'b.test' }, 'b.test': { A: [here] } },
    ...arrives,
  },
  { why: 'an address in place of the name of its MX', zone: { 'x.test': { MX: [[1, here]] } }, ...arrives },
  {
    why: 'an MX with IPv6 where nobody answers',
    zone: { 'x.test': { MX: [[1, 'a.test']] }, 'a.test': { AAAA: ['::1'], A: [here] } },
    ...arrives,
  },
  {
    why: 'more MX than fit into a datagram',
    zone: {
      'x.test': {
        MX: Array.from({ length: 60 }, (_, nth) => [nth, `a-host-with-a-rather-long-name-${nth}.test`] as const),
      },
      'a-host-with-a-rather-long-name-7.test': { A: [here] },
    },
    ...arrives,
  },
]

describe('what the DNS has about a domain', () => {
  let dns: DnsServer
  let sink: MailSink
  let other: MailSink
  let system: MailSystem

  before(async () => {
    dns = await startDns(Object.assign({}, ...cases.map(({ zone }, nth) => numbered(zone, nth))) as DnsZone)
    sink = await startMailSink()
    other = await startMailSink({ host: '127.0.0.2', port: sink.port })
    system = await MailSystem.start({
      conf,
      pipeline: `resolver "${dns.address}"\nrelay port ${sink.port}\nlane default back-off off\n`,
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await other.stop()
    await dns.stop()
  })

  async function send(id: string, domain: string): Promise<string> {
    const [from, to] = ['jane@sluice.test', `ann@${domain}`]
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  for (const [nth, { why, outcome, reply }] of cases.entries()) {
    test(`${why}: the mail is ${outcome}`, async () => {
      const event = await system.waitForEvent(outcome, await send(why, `x${nth}.test`))
      assert.match(String(event['reply']).replaceAll(`x${nth}.test`, 'x.test'), reply)
    })
  }

  test('what did not fit into a datagram was asked for by TCP', () => {
    const domain = `x${cases.length - 1}.test`
    assert.ok(dns.queries.some(({ name, type, transport }) => name === domain && type === 'MX' && transport === 'tcp'))
  })

  test('hosts of equal preference share the mail, those behind them get none', async () => {
    dns.set({
      'fair.test': {
        MX: [
          [5, 'one.test'],
          [5, 'two.test'],
          [9, 'gone.test'],
        ],
      },
      'one.test': { A: ['127.0.0.1'] },
      'two.test': { A: ['127.0.0.2'] },
    })
    // All at one would be a chance of 2 in 2^40.
    const ids = Array.from({ length: 40 }, (_, nth) => `fair-${nth}`)
    for (const id of ids) await system.waitForEvent('relayed', await send(id, 'fair.test'))
    const at = (where: MailSink): number => where.messages.filter(({ id }) => id.startsWith('fair-')).length
    assert.equal(at(sink) + at(other), ids.length)
    assert.ok(at(sink) > 0 && at(other) > 0, `${at(sink)} and ${at(other)}`)
  })

  test('mail to an address in brackets goes to that address', async () => {
    await system.waitForEvent('relayed', await send('literal', '[127.0.0.2]'))
    assert.equal(other.copies.get('literal'), 1)
  })
})

describe('mail for a domain that has us among its hosts', () => {
  let dns: DnsServer
  let best: MailSink
  let system: MailSystem

  before(async () => {
    dns = await startDns({
      'only.test': { MX: [[10, 'mx.only.test']] },
      'mx.only.test': { A: [here] },
      'named.test': {
        MX: [
          [10, 'mx.sluice.test'],
          [20, 'best.test'],
        ],
      },
      'backup.test': {
        MX: [
          [5, 'best.test'],
          [10, 'mx.only.test'],
          [20, 'worse.test'],
        ],
      },
      'mx.sluice.test': { A: ['127.0.0.9'] },
      'best.test': { A: ['127.0.0.2'] },
      'worse.test': { A: ['127.0.0.9'] },
    })
    system = await MailSystem.start({ conf, pipeline: `resolver "${dns.address}"\nrelay port {{smtp}}\n` })
    best = await startMailSink({ host: '127.0.0.2', port: system.port('smtp') })
  })

  after(async () => {
    await system.stop()
    await best.stop()
    await dns.stop()
  })

  async function send(domain: string): Promise<string> {
    const [from, to] = ['jane@sluice.test', `ann@${domain}`]
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id: domain, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  for (const domain of ['only.test', 'named.test'])
    test(`${domain}: where we are the best one it comes back at once, and never to us`, async () => {
      const failed = await system.waitForEvent('failed', await send(domain))
      assert.match(String(failed['reply']), /^554 5\.4\.6 The mail for \S+ loops back to ourselves/)
    })

  test('it goes to a better host than we are', async () => {
    await system.waitForEvent('relayed', await send('backup.test'))
    assert.equal(best.copies.get('backup.test'), 1)
  })
})

/** Each case has a domain of its own; names that only it has may stay as they are. */
function numbered(zone: DnsZone, nth: number): DnsZone {
  const rename = (text: string): string => text.replace(/^([axy]|gone|b)\.test/, `$1${nth}.test`)
  return Object.fromEntries(
    Object.entries(zone).map(([name, records]) => {
      if (typeof records === 'string') return [rename(name), records]
      const { MX, CNAME } = records
      const mx = MX?.map(([preference, exchange]) => [preference, rename(exchange)] as const)
      return [
        rename(name),
        {
          ...records,
          ...(mx === undefined ? {} : { MX: mx }),
          ...(CNAME === undefined ? {} : { CNAME: rename(CNAME) }),
        },
      ]
    }),
  )
}
