import assert from 'node:assert/strict'
import { test } from 'node:test'

import { plainText } from '../../shared/smtp-client/open-connection.ts'
import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'
import { selfSignedCertificate } from '../../shared/start/self-signed.ts'
import { SecureContexts } from './secure-contexts.ts'

const pem = await selfSignedCertificate('mx.far.test')
const policy: TlsPolicy = { mode: 'required', verify: true, ca: pem.cert }

test('equal settings share what they come to, and others do not', () => {
  const contexts = new SecureContexts()
  const { secureContext } = contexts.prepare(policy)
  assert.ok(secureContext !== undefined)
  assert.equal(contexts.prepare({ ...policy, mode: 'implicit', verify: false }).secureContext, secureContext)
  const others: readonly TlsPolicy[] = [
    { mode: 'required', verify: true },
    { ...policy, minVersion: 'TLSv1.3' },
    { ...policy, maxVersion: 'TLSv1.2' },
    { ...policy, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
    { ...policy, cert: pem.cert, key: pem.key },
  ]
  const made = new Set(others.map((other) => contexts.prepare(other).secureContext))
  assert.equal(made.size, others.length)
  assert.ok(!made.has(secureContext))
})

test('plain text needs nothing, and what does not fit together is left for the connection to tell', () => {
  const contexts = new SecureContexts()
  assert.deepEqual(contexts.prepare(plainText), plainText)
  const broken: TlsPolicy = { ...policy, cert: pem.cert, key: 'no key' }
  assert.deepEqual(contexts.prepare(broken), broken)
})

test('renewed certificates do not pile up', () => {
  const contexts = new SecureContexts()
  const first = contexts.prepare(policy).secureContext
  for (let count = 0; count < 70; count++) contexts.prepare({ ...policy, ca: `${pem.cert}\n# ${count}\n` })
  assert.notEqual(contexts.prepare(policy).secureContext, first)
})
