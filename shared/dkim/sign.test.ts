import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'

import type { LookUp } from '../resolver.ts'
import { dkimRecord } from './dns-record.ts'
import type { Prepared } from './prepare.ts'
import { SignaturePreparation } from './prepare.ts'
import { readPrivateKey } from './private-key.ts'
import { rawFields } from './raw-field.ts'
import { parseCanonicalization, signMessage } from './sign.ts'
import type { SigningOptions } from './sign.ts'
import { verifySignature } from './verify.ts'
import type { SignatureResult } from './verify.ts'

const pems = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString(),
  ed25519: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
}

function options(type: keyof typeof pems, form = 'relaxed/simple', expiresAt?: number): SigningOptions {
  return {
    domain: 'example.org',
    selector: type,
    key: readPrivateKey(pems[type]),
    ...parseCanonicalization(form),
    signedAt: 1_700_000_000,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}

async function txt(name: string): Promise<LookUp<string>> {
  const type = name.split('.')[0] as keyof typeof pems
  return { kind: 'found', records: [dkimRecord(pems[type], type, 'example.org').value] }
}

function prepared(message: string | Buffer): readonly Prepared[] {
  const octets = Buffer.from(message as string, 'latin1')
  const end = octets.indexOf('\r\n\r\n') + 4
  const preparation = new SignaturePreparation(rawFields(octets.subarray(0, end)))
  const finish = preparation.dkim()
  preparation.body(octets.subarray(end))
  return finish()
}

async function verdicts(message: string, atMs = 1_700_000_001_000): Promise<readonly SignatureResult[]> {
  return Promise.all(prepared(message).map((one) => verifySignature(one, { txt, atMs })))
}

const header = 'From: Jane <jane@example.org>\r\nTo: x@y.example\r\nSubject: Hello\r\n\r\n'
const body = 'Hello,  \r\n\r\nworld\t !\r\n\r\n'

function signed(...signatures: readonly SigningOptions[]): string {
  return signMessage(Buffer.from(header), Buffer.from(body), signatures).join('') + header + body
}

for (const type of ['rsa', 'ed25519'] as const) {
  for (const form of ['relaxed/simple', 'relaxed/relaxed', 'simple/simple', 'simple/relaxed', 'relaxed']) {
    test(`${type} ${form}: what we sign verifies`, async () => {
      assert.deepEqual(
        (await verdicts(signed(options(type, form)))).map(({ result }) => result),
        ['pass'],
      )
    })
  }
}

test('two keys give two signatures that verify', async () => {
  const results = await verdicts(signed(options('rsa'), options('ed25519')))
  assert.deepEqual(
    results.map(({ algorithm, result }) => [algorithm, result]),
    [
      ['rsa-sha256', 'pass'],
      ['ed25519-sha256', 'pass'],
    ],
  )
})

test('the same message is signed the same twice', () => {
  assert.equal(signed(options('rsa'), options('ed25519')), signed(options('rsa'), options('ed25519')))
})

test('no line of the signature is longer than 78 columns', () => {
  const many = `${'To: x@y.example\r\n'.repeat(50)}${header}`
  for (const text of signMessage(Buffer.from(many), Buffer.from(body), [
    options('rsa', 'relaxed/relaxed', 1_900_000_000),
  ]))
    for (const line of text.split('\r\n')) assert.ok(line.length <= 78, line)
})

const changes: readonly (readonly [string, (message: string) => string])[] = [
  ['a changed Subject', (message) => message.replace('Hello\r\n', 'Bye\r\n')],
  ['a second From above', (message) => `From: evil@evil.example\r\n${message}`],
  ['a second Subject above', (message) => `Subject: evil\r\n${message}`],
  ['a Cc that was not there', (message) => `Cc: evil@evil.example\r\n${message}`],
  ['a Content-Type that was not there', (message) => `Content-Type: text/html\r\n${message}`],
  ['a changed body', (message) => message.replace('world', 'World')],
  ['an appended line', (message) => `${message}more\r\n`],
  ['another expiry', (message) => message.replace('t=1700000000', 't=1700000009')],
]

for (const [what, change] of changes) {
  test(`${what} is noticed`, async () => {
    const [verdict] = await verdicts(change(signed(options('rsa'))))
    assert.equal(verdict?.result, 'fail')
  })
}

test('an expired signature is no pass', async () => {
  const message = signed(options('rsa', 'relaxed/simple', 1_700_000_100))
  assert.equal((await verdicts(message, 1_700_000_099_000))[0]?.result, 'pass')
  assert.equal((await verdicts(message, 1_700_000_101_000))[0]?.result, 'neutral')
})

test('a key that cannot be looked up is a temporary error, one that is not there a permanent one', async () => {
  const [one] = prepared(signed(options('rsa'))) as [Prepared]
  const ask = (answer: LookUp<string>): Promise<SignatureResult> =>
    verifySignature(one, { txt: async () => answer, atMs: 0 })
  assert.equal((await ask({ kind: 'failed', error: new Error('SERVFAIL') })).result, 'temperror')
  assert.equal((await ask({ kind: 'absent', name: true })).result, 'permerror')
})

const voids: readonly (readonly [string, (message: string) => string])[] = [
  ['of another version', (message) => message.replace('v=1', 'v=2')],
  ['that does not sign From', (message) => message.replace('h=From:From:', 'h=')],
  ['with i= of another domain', (message) => message.replace('s=rsa', 's=rsa; i=@evil.example')],
  ['with a tag twice', (message) => message.replace('s=rsa', 's=rsa; s=rsa')],
  ['asking for a key by HTTP', (message) => message.replace('s=rsa', 's=rsa; q=http')],
  ['asking for a key by DNS in an unknown way', (message) => message.replace('s=rsa', 's=rsa; q=dns/special')],
  ['with an unknown algorithm', (message) => message.replace('rsa-sha256', 'rsa-md5')],
]

for (const [what, change] of voids) {
  test(`a signature ${what} counts as none`, async () => {
    const [verdict] = await verdicts(change(signed(options('rsa'))))
    assert.equal(verdict?.result, 'neutral')
  })
}

const restrictions: readonly (readonly [string, string, string])[] = [
  ['h=sha1', '', 'permerror'],
  ['h=sha1:sha256', '', 'pass'],
  ['t=s', 'i=@sub.example.org; ', 'permerror'],
  ['t=y', '', 'pass'],
  ['g=jane', '', 'permerror'],
  ['s=other', '', 'permerror'],
  ['s=email', '', 'pass'],
]

test('the restrictions of a key record are kept', async () => {
  const key = readPrivateKey(pems.rsa)
  const base = options('rsa')
  for (const [restriction, identity, expected] of restrictions) {
    // i= is a tag like others: it goes in through the domain, which is written as it is.
    const domain = identity === '' ? 'example.org' : `example.org; ${identity.replace(/; $/, '')}`
    const message = signed({ ...base, key, domain })
    const [one] = prepared(message) as [Prepared]
    const record = dkimRecord(pems.rsa, 'rsa', 'example.org').value.replace('v=DKIM1;', `v=DKIM1; ${restriction};`)
    const verdict = await verifySignature(one, { txt: async () => ({ kind: 'found', records: [record] }), atMs: 0 })
    assert.equal(verdict.result, expected, restriction)
  }
})

test('what verifies with a key of 512 bits is refused by policy, what does not verify fails', async () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 })
  const key = { ...readPrivateKey(pems.rsa), key: weak.privateKey }
  const records = [`p=${weak.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`]
  const verdict = async (message: string): Promise<string> => {
    const [one] = prepared(message) as [Prepared]
    return (await verifySignature(one, { txt: async () => ({ kind: 'found', records }), atMs: 0 })).result
  }
  const message = signed({ ...options('rsa'), key })
  assert.equal(await verdict(message), 'policy')
  assert.equal(await verdict(message.replace('Hello\r\n', 'Bye\r\n')), 'fail')
})

test('the example of RFC 8463 appendix A verifies with both keys', async () => {
  const message = [
    'DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;',
    ' d=football.example.com; i=@football.example.com;',
    ' q=dns/txt; s=brisbane; t=1528637909; h=from : to :',
    ' subject : date : message-id : from : subject : date;',
    ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    ' b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus',
    ' Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==',
    'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;',
    ' d=football.example.com; i=@football.example.com;',
    ' q=dns/txt; s=test; t=1528637909; h=from : to : subject :',
    ' date : message-id : from : subject : date;',
    ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    ' b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3',
    ' DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz',
    ' dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=',
    'From: Joe SixPack <joe@football.example.com>',
    'To: Suzie Q <suzie@shopping.example.net>',
    'Subject: Is dinner ready?',
    'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
    'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
    '',
    'Hi.',
    '',
    'We lost the game.  Are you hungry yet?',
    '',
    'Joe.',
    '',
  ].join('\r\n')
  const records: Record<string, string> = {
    'brisbane._domainkey.football.example.com': 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
    'test._domainkey.football.example.com':
      'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
  }
  const lookUp = async (name: string): Promise<LookUp<string>> => ({ kind: 'found', records: [records[name] ?? ''] })
  const results = await Promise.all(prepared(message).map((one) => verifySignature(one, { txt: lookUp, atMs: 0 })))
  assert.deepEqual(
    results.map(({ selector, result }) => `${selector} ${result}`),
    ['brisbane pass', 'test pass'],
  )
})

test('l= leaves what follows unsigned, and says how much', async () => {
  const hash = createHash('sha256').update('Hello,').digest('base64')
  const raw = signed(options('rsa', 'simple/simple')).replace(/bh=[^;]+;/, `l=6; bh=${hash};`)
  const [one] = prepared(raw) as [Prepared]
  assert.equal(one.kind === 'prepared' && one.bodyMatches, true)
  assert.equal(one.kind === 'prepared' && one.unsignedOctets, 16)
})

test('any header and body is signed so that it verifies', async () => {
  const word = fc.constantFrom(
    'a',
    'B',
    ' ',
    '\t',
    '\r\n ',
    '\r\n\t',
    ';',
    ':',
    '=',
    '\u00e4',
    '\u00a0',
    '"',
    '(',
    'b=x',
  )
  const name = fc.constantFrom('Subject', 'To', 'From', 'X-Any', 'Content-Type', 'DKIM-Signature', 'reply-to', 'Cc')
  const field = fc
    .tuple(name, fc.array(word, { maxLength: 12 }))
    .map(([name, words]) => `${name}: x${words.join('')}\r\n`)
  const text = fc.array(fc.constantFrom('a', ' ', '\t', '\r\n', '.', '\u00ff', 'x'.repeat(1200)), { maxLength: 40 })
  const form = fc.constantFrom('relaxed/simple', 'relaxed/relaxed', 'simple/simple', 'simple/relaxed')
  await fc.assert(
    fc.asyncProperty(fc.array(field, { maxLength: 8 }), text, form, async (fields, parts, form) => {
      const head = Buffer.from(`From: j@example.org\r\n${fields.join('')}\r\n`, 'latin1')
      const content = Buffer.from(parts.join(''), 'latin1')
      const [signature] = signMessage(head, content, [options('ed25519', form)])
      const message = signature + head.toString('latin1') + content.toString('latin1')
      assert.equal((await verdicts(message))[0]?.result, 'pass')
    }),
    { numRuns: 300 },
  )
})
