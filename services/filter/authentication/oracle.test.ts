import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'
import { sealMessage } from 'mailauth/lib/arc/index.js'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'

import { verifyArc } from '../../../shared/dkim/arc.ts'
import type { ArcResult } from '../../../shared/dkim/arc.ts'
import { dkimRecord } from '../../../shared/dkim/dns-record.ts'
import { verifySignature } from '../../../shared/dkim/verify.ts'
import { headerLength, zoneResolver } from '../testing.ts'
import inspect from './inspect.ts'

/** mailauth as the oracle: what it signs and seals we accept, and what is changed then both judge alike. */
const pem = generateKeyPairSync('rsa', { modulusLength: 1024 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()
const key = { signingDomain: 'example.org', selector: 'main', privateKey: pem }
/** Left to itself it looks at the clock twice, and signs what nobody accepts when a second ends between. */
const signTime = new Date()
const record = dkimRecord(pem, 'main', 'example.org').value
const resolver = zoneResolver({ 'txt main._domainkey.example.org': [record] })
const options = { txt: (name: string) => resolver.txt(name), atMs: Date.now() }

function inspected(message: Buffer): ReturnType<typeof inspect> {
  const end = headerLength(message)
  return inspect({ header: message.subarray(0, end), body: message.subarray(end) })
}

async function ours(message: Buffer): Promise<boolean> {
  const results = await Promise.all(inspected(message).dkim.map((one) => verifySignature(one, options)))
  return results.some(({ result }) => result === 'pass')
}

async function mailauths(message: Buffer): Promise<boolean> {
  const { results } = await dkimVerify(message, { resolver: async () => [[record]] })
  return results.some(({ status }) => status.result === 'pass')
}

const word = fc.constantFrom('a', 'b', ' ', '\t', '\r\n\t', ';', ':', '=', '.', 'é')
const field = fc
  .tuple(fc.constantFrom('Subject', 'To', 'Cc', 'X-Any', 'Reply-To'), fc.array(word, { maxLength: 8 }))
  .map(([name, words]) => `${name}: x${words.join('')}\r\n`)
const line = fc
  .array(fc.constantFrom('a', ' ', '\t', '.', 'é', '  '), { maxLength: 6 })
  .map((parts) => `${parts.join('')}\r\n`)
const message = fc
  .tuple(fc.array(field, { maxLength: 5 }), fc.array(line, { maxLength: 8 }))
  .map(([fields, lines]) => `From: jane@example.org\r\n${fields.join('')}\r\n${lines.join('')}end\r\n`)

test('what mailauth signs we accept, and after a change of one octet we agree with it', async () => {
  const form = fc.constantFrom('relaxed/relaxed', 'relaxed/simple', 'simple/simple', 'simple/relaxed')
  await fc.assert(
    fc.asyncProperty(
      message,
      form,
      fc.nat(),
      fc.constantFrom('a', 'X', ' ', '\t', ';'),
      async (text, canonicalization, at, octet) => {
        const { signatures } = await dkimSign(Buffer.from(text), {
          canonicalization,
          ...key,
          signatureData: [key],
          signTime,
        })
        const signed = Buffer.from(signatures + text)
        assert.equal(await ours(signed), true)
        // In the message itself: of the signature's own syntax we are the stricter reader.
        const changed = Buffer.from(signed)
        const position = signatures.length + (at % (changed.length - signatures.length))
        if ('\r\n'.includes(String.fromCharCode(changed[position] ?? 0))) return
        changed.write(octet, position, 'latin1')
        assert.equal(await ours(changed), await mailauths(changed))
      },
    ),
    { numRuns: 150 },
  )
})

const plain = 'From: jane@example.org\r\nSubject: Hello\r\n\r\nHello\r\n'

async function sealed(text: string, cv: 'none' | 'pass', i: number): Promise<string> {
  const seal = { ...key, algorithm: 'rsa-sha256', cv, i, authResults: 'sluice.example; spf=pass' }
  const fields = await sealMessage(Buffer.from(text), seal)
  return fields.toString() + text
}

function arcOf(text: string, txt = options.txt): Promise<ArcResult> {
  return verifyArc(inspected(Buffer.from(text)).arc, { ...options, txt })
}

test('chains of one and three sets sealed by mailauth pass', async () => {
  const one = await sealed(plain, 'none', 1)
  assert.deepEqual(await arcOf(one), {
    result: 'pass',
    instances: 1,
    sealer: 'example.org',
    results: 'sluice.example; spf=pass',
  })
  const three = await sealed(await sealed(one, 'pass', 2), 'pass', 3)
  assert.equal((await arcOf(three)).result, 'pass')
  assert.equal((await arcOf(three)).instances, 3)
})

test('a chain fails when anything in it is changed, missing or twice', async () => {
  const two = await sealed(await sealed(plain, 'none', 1), 'pass', 2)
  const changes: readonly ((text: string) => string)[] = [
    (text) => text.replace('Hello\r\n\r\n', 'Bye\r\n\r\n'),
    (text) => text.replace('\r\n\r\nHello', '\r\n\r\nBye'),
    (text) => text.replace('i=1; sluice.example; spf=pass', 'i=1; sluice.example; spf=fail'),
    (text) => text.replace('cv=pass', 'cv=fail'),
    (text) => text.replace('cv=none', 'cv=pass'),
    (text) => text.replace(/^ARC-Authentication-Results: i=1.*\r\n/m, ''),
    (text) => `ARC-Authentication-Results: i=2; x\r\n${text}`,
    (text) => text.replaceAll('i=2', 'i=3'),
  ]
  assert.equal((await arcOf(two)).result, 'pass')
  for (const change of changes) assert.equal((await arcOf(change(two))).result, 'fail', change.toString())
})

test('a key that cannot be looked up makes a chain a temporary error', async () => {
  const one = await sealed(plain, 'none', 1)
  const failed = await arcOf(one, async () => ({ kind: 'failed', error: new Error('SERVFAIL') }))
  assert.equal(failed.result, 'temperror')
})
