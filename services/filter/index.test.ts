import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import { sealMessage } from 'mailauth/lib/arc/index.js'

import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { readPrivateKey } from '../../shared/dkim/private-key.ts'
import { parseCanonicalization, signMessage } from '../../shared/dkim/sign.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { workerFile } from '../../shared/workers/start-worker.ts'
import type { TestTask } from '../../shared/workers/testing-worker.ts'
import { createWorkerPool } from '../../shared/workers/worker-pool.ts'
import { filter, filterOrDefer, openFilter } from './index.ts'
import type { Engine } from './engine.ts'
import { gtube } from './gtube.ts'
import {
  headerBehind,
  headerLength,
  listTable,
  receivedAt,
  stageMessage,
  stranger,
  testContext,
  testEnvelope,
  zoneResolver,
} from './testing.ts'
import type { TestSettings, Zone } from './testing.ts'

const pem = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()

const zone: Zone = {
  'txt example.org': ['unrelated', 'v=spf1 ip4:192.0.2.0/24 -all'],
  'txt main._domainkey.example.org': [dkimRecord(pem, 'main', 'example.org').value],
  'txt _dmarc.example.org': ['v=DMARC1; p=reject'],
}

const plain = 'From: Jane <jane@example.org>\r\nTo: x@y.example\r\nSubject: Hello\r\n\r\nHello\r\n'

function dkimSigned(content: string, domain = 'example.org', key = readPrivateKey(pem)): string {
  const octets = Buffer.from(content)
  const end = headerLength(octets)
  const options = { domain, selector: 'main', key, ...parseCanonicalization('relaxed/relaxed') }
  return (
    signMessage(octets.subarray(0, end), octets.subarray(end), [{ ...options, signedAt: receivedAt / 1000 }]).join('') +
    content
  )
}

interface Run {
  readonly disposition: Disposition
  readonly header: string
  readonly events: readonly object[]
}

interface Given {
  readonly zone?: Zone
  readonly settings?: TestSettings
  readonly origin?: Origin
  readonly reversePath?: string | null
  readonly edits?: readonly HeaderEdit[]
}

async function run(content: string | Buffer, given: Given = {}): Promise<Run> {
  const { context, events } = testContext(zoneResolver(given.zone ?? zone), given.settings)
  const stage = await openFilter(context)
  const octets = Buffer.from(content as string)
  const envelope = testEnvelope(given.origin, given.reversePath)
  const disposition = await stage.handle(stageMessage(octets, envelope, given.edits), context)
  await stage.close()
  return {
    disposition,
    header: disposition.kind === 'pass' ? headerBehind(octets, disposition, given.edits) : '',
    events,
  }
}

/** Results by method, as a reader of Authentication-Results sees them. */
function results(header: string): Record<string, string> {
  const field = /^Authentication-Results: sluice\.example;((?:.|\r\n[ \t])*)/m.exec(header)?.[1] ?? ''
  return Object.fromEntries(
    field
      .replaceAll('\r\n', '')
      .split(';')
      .map((one) => /^\s*(\w+)=(\w+)/.exec(one)?.slice(1) ?? []),
  ) as Record<string, string>
}

test('mail that proves its sender passes with all four results on top', async () => {
  const { disposition, header, events } = await run(dkimSigned(plain))
  assert.equal(disposition.kind === 'pass' && disposition.tag, 'Filtered')
  assert.match(
    header,
    new RegExp(
      [
        '^Authentication-Results: sluice.example;',
        '\tspf=pass smtp.mailfrom=jane@example.org;',
        '\tdkim=pass \\(2048-bit key\\) header.d=example.org header.s=main',
        '\theader.a=rsa-sha256 header.b="?[A-Za-z0-9+/]{8}"?;',
        '\tdmarc=pass header.from=example.org policy.dmarc=reject;',
        '\tarc=none',
        'X-Spam-Score: -0.3',
        'X-Spam-Status: No, score=-0.3 tests=DKIM_VALID=-0.1, DMARC_PASS=-0.2',
      ].join('\r\n'),
    ),
  )
  assert.ok(header.split('\r\n').every((line) => line.length <= 78))
  assert.equal(events.length, 1)
})

test('a long message is checked in a thread with the same result', async () => {
  const { header } = await run(dkimSigned(plain + 'A line of text.\r\n'.repeat(10_000)))
  assert.deepEqual(results(header), { spf: 'pass', dkim: 'pass', dmarc: 'pass', arc: 'none' })
})

test('only the checks that pipeline.conf lists are stamped', async () => {
  const { header } = await run(plain, { settings: { authResults: ['dmarc', 'spf'] } })
  assert.deepEqual(Object.keys(results(header)), ['dmarc', 'spf'])
})

test('mail of a list whose ARC seal is believed stays where it belongs, though DMARC fails behind it', async () => {
  const seal = async (seen: string): Promise<string> => {
    const key = { signingDomain: 'lists.example', selector: 'main', privateKey: pem, algorithm: 'rsa-sha256' }
    const seal = { ...key, cv: 'none', i: 1, authResults: `lists.example; ${seen}` }
    return (await sealMessage(Buffer.from(plain), seal)).toString() + plain
  }
  const given = (sealers: readonly string[]): Given => ({
    zone: { ...zone, 'txt main._domainkey.lists.example': [dkimRecord(pem, 'main', 'lists.example').value] },
    origin: { ...stranger, address: '198.51.100.1' },
    settings: { authentication: { minKeyBits: 1024, trustedSealers: listTable(...sealers) } },
  })
  const seen = await seal('dmarc=pass header.from=example.org')
  const believed = await run(seen, given(['lists.example']))
  assert.doesNotMatch(believed.header, /X-Spam-Flag/)
  assert.match(
    believed.header,
    /dmarc=fail \(lists\.example saw it pass\) header\.from=example\.org\s+policy\.dmarc=none/,
  )
  assert.match(believed.header, /arc=pass \(i=1, sealed by lists\.example\)/)
  for (const [content, sealers] of [
    [seen, ['other.example']],
    [seen.replace('\r\n\r\nHello', '\r\n\r\nBye'), ['lists.example']],
    [await seal('dmarc=fail header.from=example.org'), ['lists.example']],
    [await seal('dmarc=pass header.from=bank.example'), ['lists.example']],
  ] as const)
    assert.match((await run(content, given(sealers))).header, /X-Spam-Flag: YES/)
})

test('short keys prove what they are asked to prove', async () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 })
  const key = { type: 'rsa', key: weak.privateKey } as const
  const published = weak.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const signed = dkimSigned(plain, 'example.org', key)
  const verdict = async (minKeyBits: number): Promise<string | undefined> => {
    const known = { ...zone, 'txt main._domainkey.example.org': [`v=DKIM1; p=${published}`] }
    const { header } = await run(signed, { zone: known, settings: { authentication: { minKeyBits } } })
    return results(header)['dkim']
  }
  assert.equal(await verdict(1024), 'policy')
  assert.equal(await verdict(512), 'pass')
})

test('DMARC reject and quarantine make junk of what fails; none does not', async () => {
  const other: Origin = { ...stranger, address: '198.51.100.1' }
  for (const [policy, junk] of [
    ['reject', true],
    ['quarantine', true],
    ['none', false],
  ] as const) {
    const { header } = await run(plain, {
      origin: other,
      zone: { ...zone, 'txt _dmarc.example.org': [`v=DMARC1; p=${policy}`] },
    })
    assert.equal(results(header)['dmarc'], 'fail')
    assert.equal(/^X-Spam: Yes\r\n/m.test(header), junk, policy)
    assert.equal(/^X-Spam-Flag: YES\r\n/m.test(header), junk, policy)
  }
})

test('a DNS failure is a temporary error of its check, never a fail, and makes no junk', async () => {
  const failing: Zone = {
    'txt example.org': ['v=spf1 include:spf.example.org -all'],
    'txt spf.example.org': 'fails',
    'txt main._domainkey.example.org': 'fails',
    'txt _dmarc.example.org': ['v=DMARC1; p=reject'],
  }
  const { header } = await run(dkimSigned(plain), { zone: failing })
  assert.deepEqual(results(header), { spf: 'temperror', dkim: 'temperror', dmarc: 'temperror', arc: 'none' })
  assert.doesNotMatch(header, /X-Spam: Yes/)
  const { header: second } = await run(plain, { zone: { ...zone, 'txt _dmarc.example.org': 'fails' } })
  assert.equal(results(second)['dmarc'], 'temperror')
})

test('mail of our own and of signed-in users is not checked and gets no headers', async () => {
  for (const origin of [{ kind: 'local' }, { ...stranger, user: 'jane' }] as const) {
    const { disposition } = await run(plain, { origin })
    assert.deepEqual(disposition, { kind: 'pass', tag: 'Filtered', edits: [] })
  }
})

test('results and spam headers that a stranger wrote in our name are removed, those of others stay', async () => {
  const forged = [
    'Authentication-Results: sluice.example; dmarc=pass header.from=bank.example',
    'Authentication-Results: (a (nested) comment) SLUICE.example 1;\r\n\tdkim=pass header.d=bank.example',
    'authentication-results : "sluice.example"; spf=pass',
    'Authentication-Results: mx.sluice.example; spf=pass',
    'X-Spam: No',
    'X-SPAM-Status: No, score=-100',
    'X-Spam-Anything: x',
    'X-Virus-Status: Clean',
    'X-Virus-Scanned: by bank.example',
  ]
  const kept = ['Authentication-Results: other.example; spf=pass', 'X-Spamminess: kept', 'X-Viruses: kept']
  const { header } = await run(`${[...forged, ...kept].join('\r\n')}\r\n${plain}`)
  for (const line of kept) assert.ok(header.includes(`${line}\r\n`), line)
  assert.equal(header.match(/sluice\.example/gi)?.length, 1)
  assert.doesNotMatch(header, /bank\.example|score=-100|X-Spam-Anything|X-Spam: No|X-Virus-/)
})

test('a signed-in user keeps X-Spam headers but not results in our name', async () => {
  const { header } = await run(
    `X-Spam-Status: quoted\r\nAuthentication-Results: sluice.example; spf=pass\r\n${plain}`,
    {
      origin: { ...stranger, user: 'jane' },
    },
  )
  assert.match(header, /X-Spam-Status: quoted/)
  assert.doesNotMatch(header, /Authentication-Results/)
})

test('thousands of forged fields cost few edits', async () => {
  const fields = Array.from(
    { length: 5_000 },
    (_one, n) => `Authentication-Results: sluice.example; x=${n}\r\nX-Spam-${n}: y\r\n`,
  )
  const { disposition, header } = await run(fields.join('') + plain)
  assert.ok(disposition.kind === 'pass' && (disposition.edits?.length ?? 0) < 40)
  assert.equal(header.match(/Authentication-Results/g)?.length, 1)
})

test('the same message gets the same result, and a second pass over the first one changes nothing', async () => {
  const settings: TestSettings = { spam: { junk: 1, subject: '***SPAM***' } }
  const given: Given = { settings, origin: { ...stranger, address: '198.51.100.1' } }
  const first = await run(plain, given)
  const again = await run(plain, given)
  assert.equal(again.header, first.header)
  const edits = first.disposition.kind === 'pass' ? (first.disposition.edits ?? []) : []
  const second = await run(plain, { ...given, edits })
  assert.equal(second.header, first.header)
})

test('the Subject of junk gets the prefix once, whatever it looked like', async () => {
  const given: Given = {
    settings: { spam: { junk: 1, subject: '***SPAM***' } },
    origin: { ...stranger, address: '198.51.100.1' },
  }
  const subjects: readonly (readonly [string, string])[] = [
    ['Subject: Hello\r\n', 'Subject: ***SPAM*** Hello\r\n'],
    ['SUBJECT:Hello\r\n\tthere\r\n', 'Subject: ***SPAM*** Hello\r\n\tthere\r\n'],
    ['Subject: ***SPAM*** Hello\r\n', 'Subject: ***SPAM*** Hello\r\n'],
    ['Subject: caf\u00e9\r\n', 'Subject: ***SPAM*** caf\u00e9\r\n'],
    ['', 'Subject: ***SPAM***\r\n'],
  ]
  for (const [before, after] of subjects) {
    const { header } = await run(`From: jane@example.org\r\n${before}\r\nHello\r\n`, given)
    assert.ok(header.includes(after), header)
    assert.equal(header.match(/^subject/gim)?.length, 1)
  }
})

test('whoever tries the spam test of a filter sees it judged, its own users need not', async () => {
  const test = `${plain}${gtube}\r\n`
  const settings: TestSettings = { spam: { junk: 5 } }
  const { header, events } = await run(test, { settings })
  assert.match(header, /^X-Spam-Flag: YES\r\n/m)
  assert.match(header, /GTUBE=1000/)
  assert.match(
    JSON.stringify(events),
    /"verdict":"junk".*GTUBE 1000 the generic test.*"reason":"spam score \d+\.\d of 5"/,
  )
  assert.doesNotMatch((await run(test, { settings, origin: { ...stranger, user: 'jane' } })).header, /X-Spam/)
})

test('each threshold has its action, and spam may be kept back', async () => {
  const test = `${plain}${gtube}\r\n`
  const { disposition } = await run(test, { settings: { spam: { junk: 5, quarantine: 500 } } })
  assert.ok(disposition.kind === 'hold' && disposition.quarantine === 'spam')
  assert.match(disposition.reason, /^spam score \d+\.\d of 500$/)
})

test('what an operator let go is not judged again, and carries no word of a stranger in our name', async () => {
  const { context, events } = testContext(zoneResolver(zone))
  const content = Buffer.from(`X-Spam: No\r\nAuthentication-Results: sluice.example; spf=pass\r\n${plain}${gtube}\r\n`)
  const message = { ...stageMessage(content, testEnvelope()), released: true as const }
  const disposition = await filter(message, context, [{ ...neverAsked, onFailure: 'defer' }])
  assert.equal(headerBehind(content, disposition), plain.slice(0, plain.indexOf('\r\n\r\n') + 4))
  assert.match(JSON.stringify(events), /"verdict":"released"/)
})

test('a score above discard discards, above reject rejects only where no innocent gets the bounce', async () => {
  const other: Origin = { ...stranger, address: '198.51.100.1' }
  assert.equal((await run(plain, { origin: other, settings: { spam: { discard: 4 } } })).disposition.kind, 'discard')
  const unproven = await run(plain, { origin: other, settings: { spam: { reject: 4 } } })
  assert.match(unproven.header, /^X-Spam: Yes/m)
  const proven: Zone = { ...zone, 'txt _dmarc.sender.example': [], 'txt sender.example': ['v=spf1 +all'] }
  const rejected = await run(plain, {
    zone: proven,
    origin: other,
    reversePath: 'spammer@sender.example',
    settings: { spam: { reject: 2 } },
  })
  assert.equal(rejected.disposition.kind === 'reject' && rejected.disposition.reply.code, 550)
})

test('while its client waits, spam of anybody is refused, and an engine that fails is no decision', async () => {
  const origin: Origin = { ...stranger, address: '198.51.100.1' }
  const [content, envelope] = [Buffer.from(plain), testEnvelope(origin)]
  const message = { ...stageMessage(content, envelope), beforeAccept: true as const }
  const { context } = testContext(zoneResolver(zone), { spam: { reject: 4 } })
  const stage = await openFilter(context)
  const disposition = await stage.handle(message, context)
  await stage.close()
  assert.equal(disposition.kind === 'reject' && disposition.reply.code, 550)

  const away = { clamd: { kind: 'unix', path: '/nowhere/clamd' }, timeoutMs: 1_000 } as const
  const { context: broken, events } = testContext(zoneResolver(zone), {
    virus: { ...away, infected: 'reject', onFailure: 'defer' },
  })
  const other = await openFilter(broken)
  await assert.rejects(async () => other.handle(message, broken), { name: 'EngineFailure' })
  await other.close()
  assert.deepEqual(events, [])
})

const failing: Engine = {
  name: 'broken',
  applies: () => true,
  scan: async () => {
    throw new Error('boom')
  },
  close: async () => {},
}

const neverAsked = { engine: failing, role: 'spam', weight: 1, timeoutMs: 1_000 } as const

test('an engine that fails makes the message wait, or is left out, as configured', async () => {
  const { context } = testContext(zoneResolver(zone))
  const message = stageMessage(Buffer.from(plain), testEnvelope())
  const settings = { engine: failing, role: 'spam', weight: 1, timeoutMs: 1_000 } as const
  await assert.rejects(filter(message, context, [{ ...settings, onFailure: 'defer' }]), { name: 'EngineFailure' })
  const disposition = await filter(message, context, [{ ...settings, onFailure: 'proceed' }])
  assert.equal(disposition.kind, 'pass')
})

test('an engine that never answers ends at its time limit and is told to stop', async () => {
  const { context } = testContext(zoneResolver(zone))
  const stopped: unknown[] = []
  const hanging: Engine = {
    ...failing,
    name: 'authentication',
    scan: (_message, signal) => {
      signal.addEventListener('abort', () => stopped.push(signal.reason))
      return new Promise(() => {})
    },
  }
  const content = Buffer.from(plain)
  const disposition = await filter(stageMessage(content, testEnvelope()), context, [
    { engine: hanging, role: 'authentication', weight: 1, timeoutMs: 20, onFailure: 'proceed' },
  ])
  assert.equal(results(headerBehind(content, disposition))['dmarc'], 'temperror')
  assert.equal(stopped.length, 1)
})

test('a message that takes too much time or memory in an engine costs a thread, and at the fifth time is held; the others go on', async (t) => {
  const { context, events } = testContext(zoneResolver(zone))
  const file = workerFile('../../shared/workers/testing-worker.ts', import.meta.url)
  const pools = {
    hang: createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 3_000 }),
    eat: createWorkerPool<TestTask, number>({ file, threads: 1, wallMs: 60_000, heapMb: 64 }),
  }
  t.after(() => Promise.all([pools.hang.close(), pools.eat.close()]))
  const engine: Engine = {
    ...failing,
    name: 'digger',
    async scan(message) {
      const content = await message.content()
      const [, kind = '', isPoison] = /^X-Kind: (hang|eat)( much)?/.exec(content.toString()) ?? []
      const pool = kind === 'hang' ? 'hang' : 'eat'
      await pools[pool].run(isPoison === undefined ? { kind: 'length', octets: content } : { kind: pool })
      return { status: 'ok', score: 1, symbols: [{ name: 'DUG', score: 1, text: '' }], tookMs: 0 }
    },
  }
  const attempt = (content: string, attempts: number, onFailure: 'defer' | 'proceed'): Promise<Disposition> =>
    filterOrDefer({ ...stageMessage(Buffer.from(content), testEnvelope()), attempts }, context, {
      engines: [{ engine, role: 'spam', weight: 1, timeoutMs: 60_000, onFailure }],
      troubles: new Map(),
    })
  for (const [kind, evidence] of [
    ['hang', 'no result within 3 s'],
    ['eat', 'more than 64 MB of memory'],
  ] as const) {
    const poison = `X-Kind: ${kind} much\r\n${plain}`
    const [first, good] = await Promise.all([
      attempt(poison, 0, 'defer'),
      attempt(`X-Kind: ${kind}\r\n${plain}`, 0, 'defer'),
    ])
    assert.equal(first.kind === 'reject' && first.reply.code, 451)
    assert.equal(good.kind, 'pass')
    events.length = 0
    assert.deepEqual(await attempt(poison, 4, 'defer'), {
      kind: 'hold',
      reason: `poison: engine digger: ${evidence}, at attempt 5`,
    })
    assert.deepEqual(events, [], 'its story does not say that it is tried again')
    const without = await attempt(poison, 4, 'proceed')
    assert.match(headerBehind(Buffer.from(poison), without), /DIGGER_CRASHED/)
  }
})

const poisons: readonly (readonly [string, () => string])[] = [
  ['20,000 MIME parts one in the other', () => deepMime(20_000)],
  ['a header of 4 MB in one field', () => `X-Long: ${'a \t'.repeat(1_400_000)}\r\n${plain}`],
  ['100,000 header fields', () => 'X: y\r\n'.repeat(100_000) + plain],
  ['a From of 100,000 open comments', () => `From: ${'('.repeat(100_000)}a@b\r\n\r\n`],
  [
    '1,000 signatures',
    () => `DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=b; h=from; bh=AA==; b=AA==\r\n`.repeat(1_000) + plain,
  ],
  ['a signature with 100,000 names', () => dkimSigned(plain).replace('h=From', `h=${'x:'.repeat(100_000)}From`)],
  [
    '50 ARC sets of 100 KB each',
    () => Array.from({ length: 50 }, (_one, n) => arcSet(n + 1, 100_000)).join('') + plain,
  ],
  ['60 ARC sets', () => Array.from({ length: 60 }, (_one, n) => arcSet(n + 1)).join('') + plain],
  ['no header at all', () => '\r\nHello\r\n'],
  ['nothing at all', () => ''],
  ['a line that is no field first', () => ` folded\r\nno field\r\n${plain}`],
  ['octets that are no text', () => `From: \u0000\u0001@\u0002\r\nSubject: \u0000\r\n\r\n\u0000`],
]

function deepMime(depth: number): string {
  const parts = Array.from(
    { length: depth },
    (_one, n) => `--b${n}\r\nContent-Type: multipart/mixed; boundary=b${n + 1}\r\n\r\n`,
  )
  return `From: jane@example.org\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n${parts.join('')}`
}

function arcSet(n: number, padding = 0): string {
  return (
    `ARC-Seal: i=${n}; a=rsa-sha256; cv=${n === 1 ? 'none' : 'pass'}; d=a.example; s=b; b=AA==\r\n` +
    `ARC-Message-Signature: i=${n}; a=rsa-sha256; d=a.example; s=b; h=from; bh=AA==; b=AA==\r\n` +
    `ARC-Authentication-Results: i=${n}; a.example; spf=pass${' x'.repeat(padding / 2)}\r\n`
  )
}

for (const [what, content] of poisons)
  test(`${what}: a verdict all the same`, async () => {
    assert.equal((await run(content())).disposition.kind, 'pass')
  })
