import assert from 'node:assert/strict'
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { test } from 'node:test'

import { selfSignedCertificate } from './self-signed.ts'

test('a first start makes a certificate that fits its key and this host', async () => {
  const { cert, key } = await selfSignedCertificate('mail.example.org')
  const certificate = new X509Certificate(cert)
  assert.ok(certificate.checkPrivateKey(createPrivateKey(key)))
  assert.ok(certificate.verify(certificate.publicKey))
  assert.equal(certificate.checkHost('mail.example.org'), 'mail.example.org')
  assert.equal(certificate.checkHost('localhost'), 'localhost')
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
  assert.ok(Date.parse(certificate.validTo) > Date.now())
})
