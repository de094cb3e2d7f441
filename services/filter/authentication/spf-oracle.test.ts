import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'
import { spf } from 'mailauth/lib/spf/index.js'

import { checkHost } from '../../../shared/spf/check-host.ts'
import { parseSpfRecord } from '../../../shared/spf/record.ts'
import type { Zone } from '../testing.ts'
import { zoneResolver } from '../testing.ts'

const helo = 'out.north.example'
const names = ['north.example', 'south.example', 'east.example'] as const
const domain = fc.constantFrom(...names)
const network = fc.constantFrom('192.0.2.7', '192.0.2.0/29', '198.51.100.0/24', '0.0.0.0/0')
const length = fc.constantFrom('', '/24', '/30', '/0', '//64', '/29//120')
// Without ptr: mailauth counts each of its names as a look-up more.
const mechanism = fc.oneof(
  network.map((text) => `ip4:${text}`),
  fc.constantFrom('ip6:2001:db8::/32', 'ip6:2001:db8::7', 'exists:%{o}', 'exists:%{l}.south.example'),
  fc.tuple(fc.constantFrom('a', 'mx'), domain, length).map(([kind, name, bits]) => `${kind}:${name}${bits}`),
  domain.map((name) => `include:${name}`),
)
const record = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom('', '+', '-', '~', '?'), mechanism), { maxLength: 4 }),
    fc.oneof(
      fc.constantFrom('', ' -all', ' ~all', ' ?all'),
      domain.map((name) => ` redirect=${name}`),
    ),
  )
  .map(([terms, end]) => `v=spf1${terms.map(([sign, text]) => ` ${sign}${text}`).join('')}${end}`)
const addresses = fc.subarray(['192.0.2.1', '192.0.2.9', '198.51.100.7', '192.0.2.7'], { minLength: 1 })
const host = fc.record({
  txt: fc.option(record, { nil: undefined, freq: 6 }),
  // Always some: of hosts of an MX without any mailauth counts each as a void look-up.
  a: addresses,
  mx: fc.option(fc.subarray([...names], { minLength: 1 }), { nil: undefined }),
})

interface Host {
  readonly txt: string | undefined
  readonly a: readonly string[]
  readonly mx: readonly string[] | undefined
}

function zoneOf(hosts: readonly Host[]): Zone {
  const zone: Record<string, readonly string[]> = {
    'a jane.south.example': ['127.0.0.2'],
  }
  for (const [index, { txt, a, mx }] of hosts.entries()) {
    const name = names[index] ?? ''
    if (txt !== undefined) zone[`txt ${name}`] = [txt]
    zone[`a ${name}`] = a
    zone[`aaaa ${name}`] = ['2001:db8::1']
    if (mx !== undefined) zone[`mx ${name}`] = mx.map((exchange) => `10 ${exchange}`)
  }
  return zone
}

/** What mailauth asks of its resolver. */
async function answer(zone: Zone, name: string, type: string): Promise<unknown[]> {
  const records = zone[`${type.toLowerCase()} ${name.toLowerCase()}`]
  if (records === undefined || records === 'fails') throw Object.assign(new Error('absent'), { code: 'ENOTFOUND' })
  if (type === 'TXT') return records.map((text) => [text])
  if (type === 'MX') return records.map((text) => ({ priority: 10, exchange: text.split(' ')[1] }))
  return [...records]
}

test('records without errors say of each client what they say to mailauth', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(host, { minLength: 3, maxLength: 3 }),
      fc.constantFrom('192.0.2.7', '198.51.100.7', '203.0.113.1', '2001:db8::7'),
      async (hosts, client) => {
        const zone = zoneOf(hosts)
        for (const { txt } of hosts) if (txt !== undefined) assert.ok(parseSpfRecord(txt), txt)
        const ours = await checkHost(
          { client, domain: 'north.example', localPart: 'jane', helo, receiver: 'mx.example', atMs: 0 },
          zoneResolver(zone),
        )
        const theirs = await spf({
          ip: client,
          sender: 'jane@north.example',
          helo,
          mta: 'mx.example',
          resolver: ((name: string, type: string) => answer(zone, name, type)) as NonNullable<
            Parameters<typeof spf>[0]['resolver']
          >,
        })
        assert.equal(ours.result, theirs.status.result, JSON.stringify(zone))
      },
    ),
    { numRuns: 400 },
  )
})
