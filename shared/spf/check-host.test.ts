import assert from 'node:assert/strict'
import { test } from 'node:test'

import { zoneResolver } from '../restrictions/testing.ts'
import type { Zone } from '../restrictions/testing.ts'
import { checkHost } from './check-host.ts'
import type { SpfAnswer, HostQuestion } from './check-host.ts'

const client = '192.0.2.7'

function check(zone: Zone, question: Partial<HostQuestion> = {}): Promise<SpfAnswer> {
  const asked = { client, domain: 'north.example', localPart: 'jane', helo: 'out.north.example' }
  return checkHost(
    { ...asked, receiver: 'mx.sluice.example', atMs: 1_700_000_000_999, ...question },
    zoneResolver(zone),
  )
}

/** `north.example` has this record; further names as given. */
function record(text: string, more: Zone = {}): Zone {
  return { 'txt north.example': [text], ...more }
}

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)

interface Case {
  readonly what: string
  readonly zone: Zone
  readonly result: SpfAnswer['result']
  readonly question?: Partial<HostQuestion>
}

const cases: readonly Case[] = [
  { what: 'an error behind the term that matches', zone: record('v=spf1 +all moo'), result: 'permerror' },
  { what: 'exp= twice', zone: record('v=spf1 -all exp=a.example exp=b.example'), result: 'permerror' },
  { what: 'ip6 without an address', zone: record('v=spf1 ip4:192.0.2.7 ip6'), result: 'permerror' },
  { what: 'no term that matches', zone: record('v=spf1 ip4:198.51.100.1'), result: 'neutral' },
  { what: 'a domain of one label', zone: {}, result: 'none', question: { domain: 'localhost' } },
  { what: 'a domain with an empty label', zone: {}, result: 'none', question: { domain: 'a..example' } },
  { what: 'a label of 64 octets', zone: {}, result: 'none', question: { domain: `${'x'.repeat(64)}.example` } },
  { what: 'no address', zone: record('v=spf1 +all'), result: 'none', question: { client: 'unknown' } },
  {
    what: 'an IPv4 client that came over IPv6',
    zone: record('v=spf1 ip4:192.0.2.0/24 -all'),
    result: 'pass',
    question: { client: '::ffff:192.0.2.7' },
  },
  {
    what: 'an IPv6 client by the length of its family',
    zone: record('v=spf1 a/8//64 -all', { 'aaaa north.example': ['2001:db8::1'] }),
    result: 'pass',
    question: { client: '2001:db8::ffff' },
  },
  {
    what: 'an IPv6 client beyond it',
    zone: record('v=spf1 a/8//65 -all', { 'aaaa north.example': ['2001:db8::1'] }),
    result: 'fail',
    question: { client: '2001:db8:0:0:8000::1' },
  },
  {
    what: 'an include that says fail is no match',
    zone: record('v=spf1 include:a.example ~all', { 'txt a.example': ['v=spf1 -all'] }),
    result: 'softfail',
  },
  { what: 'an include without record', zone: record('v=spf1 include:a.example ~all'), result: 'permerror' },
  { what: 'a redirect without record', zone: record('v=spf1 redirect=a.example'), result: 'permerror' },
  {
    what: 'a redirect',
    zone: record('v=spf1 redirect=a.example', { 'txt a.example': ['v=spf1 ~all'] }),
    result: 'softfail',
  },
  { what: 'a redirect behind all', zone: record('v=spf1 ?all redirect=a.example'), result: 'neutral' },
  { what: 'a record that includes itself', zone: record('v=spf1 include:north.example -all'), result: 'permerror' },
  {
    what: 'ten terms that ask DNS',
    zone: record(`v=spf1 ${'exists:a.example '.repeat(9)}exists:b.example`, { 'a b.example': ['127.0.0.2'] }),
    result: 'permerror',
  },
  {
    what: 'ten terms that ask DNS and are answered',
    zone: record(`v=spf1 ${'a:a.example '.repeat(10)}ip4:192.0.2.7`, { 'a a.example': ['198.51.100.1'] }),
    result: 'pass',
  },
  {
    what: 'eleven of them',
    zone: record(`v=spf1 ${'a:a.example '.repeat(11)}ip4:192.0.2.7`, { 'a a.example': ['198.51.100.1'] }),
    result: 'permerror',
  },
  { what: 'two questions without answer', zone: record('v=spf1 ptr mx ip4:192.0.2.7'), result: 'pass' },
  {
    what: 'three questions without answer',
    zone: record('v=spf1 a mx a:b.example ip4:192.0.2.7'),
    result: 'permerror',
  },
  {
    what: 'hosts without an IPv6 address, to an IPv6 client',
    zone: record(`v=spf1 ${'a:a.example '.repeat(3)}?all`, { 'a a.example': ['192.0.2.1'] }),
    result: 'neutral',
    question: { client: '2001:db8::1' },
  },
  {
    what: 'ten MX hosts',
    zone: record('v=spf1 mx', {
      'mx north.example': numbers(10).map((n) => `mx${n}.example`),
      'a mx9.example': [client],
    }),
    result: 'pass',
  },
  {
    what: 'eleven MX hosts',
    zone: record('v=spf1 mx', { 'mx north.example': numbers(11).map((n) => `mx${n}.example`) }),
    result: 'permerror',
  },
  {
    what: 'one of two MX hosts that cannot be looked up, the other no match',
    zone: record('v=spf1 mx -all', {
      'mx north.example': ['a.example', 'b.example'],
      'a a.example': 'fails',
      'a b.example': ['198.51.100.1'],
    }),
    result: 'temperror',
  },
  {
    what: 'the eleventh name of a client',
    zone: record('v=spf1 ptr ?all', {
      [`ptr ${client}`]: [...numbers(10).map((n) => `h${n}.example`), 'out.north.example'],
      'a out.north.example': [client],
    }),
    result: 'neutral',
  },
  {
    what: 'a name that does not lead back',
    zone: record('v=spf1 ptr -all', { [`ptr ${client}`]: ['out.north.example'], 'a out.north.example': ['192.0.2.8'] }),
    result: 'fail',
  },
  {
    what: 'a name that only ends alike',
    zone: record('v=spf1 ptr -all', { [`ptr ${client}`]: ['far-north.example'], 'a far-north.example': [client] }),
    result: 'fail',
  },
  {
    what: 'the names of a client for %{p}: the domain itself first',
    zone: record('v=spf1 exists:%{p}.seen.example -all', {
      [`ptr ${client}`]: ['elsewhere.example', 'out.north.example', 'North.Example'],
      'a elsewhere.example': [client],
      'a out.north.example': [client],
      'a north.example': [client],
      'a north.example.seen.example': ['127.0.0.2'],
    }),
    result: 'pass',
  },
  {
    what: 'no name for %{p}',
    zone: record('v=spf1 exists:%{p}.seen.example -all', {
      [`ptr ${client}`]: 'fails',
      'a unknown.seen.example': ['127.0.0.2'],
    }),
    result: 'pass',
  },
  {
    what: 'a HELO that is no name',
    zone: record('v=spf1 exists:%{h}.ok.example -all', { 'a my laptop!.ok.example': ['127.0.0.2'] }),
    result: 'pass',
    question: { helo: 'my laptop!' },
  },
  {
    what: 'macros of an IPv6 client',
    zone: record('v=spf1 exists:%{i2r}.%{v}.%{o1}.ok.example -all', { 'a 0.2.ip6.example.ok.example': ['127.0.0.2'] }),
    result: 'pass',
    question: { client: '2001:db8::1' },
  },
  {
    what: 'a name of 253 octets and more by its right end',
    zone: record('v=spf1 exists:%{l}.north.example -all', {
      [`a ${'x.'.repeat(119)}x.north.example`]: ['127.0.0.2'],
    }),
    result: 'pass',
    question: { localPart: `${'x.'.repeat(140)}x` },
  },
]

for (const { what, zone, result, question } of cases)
  test(`${what}: ${result}`, async () => assert.equal((await check(zone, question)).result, result))

test('a fail comes with what the domain has to say about it', async () => {
  const zone = record('v=spf1 -all exp=why.%{d}', {
    'txt why.north.example': ['%{c} is not ours%_(%{s}, %{t}, seen by %{r})'],
  })
  assert.deepEqual(await check(zone), {
    result: 'fail',
    explanation: '192.0.2.7 is not ours (jane@north.example, 1700000000, seen by mx.sluice.example)',
    personal: true,
  })
  const { explanation } = await check(zone, { client: '2001:db8::1' })
  assert.match(explanation ?? '', /^2001:db8::1 is/)
})

test('the record that was redirected to explains, an included one does not', async () => {
  const other = { 'txt a.example': ['v=spf1 -all exp=why.example'], 'txt why.example': ['Not ours'] }
  assert.equal((await check(record('v=spf1 redirect=a.example exp=mine.example', other))).explanation, 'Not ours')
  assert.equal((await check(record('v=spf1 include:a.example -all', other))).explanation, undefined)
})

test('an explanation is short, however long its text and its macros make it', async () => {
  const zone = (text: string): Zone => record('v=spf1 -all exp=why.north.example', { 'txt why.north.example': [text] })
  assert.equal((await check(zone('x'.repeat(60_000)))).explanation, 'x'.repeat(200))
  const domain = `${'n'.repeat(60)}.north.example`
  const long = { [`txt ${domain}`]: ['v=spf1 -all exp=why.north.example'] }
  const { explanation } = await check({ ...zone('%{d}'.repeat(16_000)), ...long }, { domain })
  assert.equal(explanation, domain.repeat(3).slice(0, 200))
})

test('no trouble with an explanation changes the result', async () => {
  const target = (answer: Zone[string] | undefined): Zone =>
    record('v=spf1 -all exp=why.example', answer === undefined ? {} : { 'txt why.example': answer })
  for (const answer of [undefined, 'fails', ['one', 'two'], ['%{x}'], ['h\u00e9']] as const)
    assert.deepEqual(await check(target(answer)), { result: 'fail', personal: false })
})

test('only what depends on the local part or the time is personal', async () => {
  const personal = async (spec: string): Promise<boolean> =>
    (await check(record(`v=spf1 exists:${spec}.ok.example -all`))).personal
  for (const spec of ['%{l}', '%{S}']) assert.equal(await personal(spec), true, spec)
  for (const spec of ['%{d}', '%{o}', '%{i}', '%{h}', '%{v}', '%%']) assert.equal(await personal(spec), false, spec)
})
