import { createPublicKey, generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

import forge from 'node-forge'

const validDays = 825

/**
 * A self-signed certificate for `name`, `localhost` and 127.0.0.1, valid for 825 days, and its RSA-2048 key; both PEM.
 * @param known a key of RSA to make it for
 */
export async function selfSignedCertificate(
  name: string,
  known?: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const pair = known === undefined ? await newPair() : pairOf(known)
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(pair.publicKey)
  // A leading octet below 0x80 keeps the serial number positive (RFC 5280 §4.1.2.2).
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`
  certificate.validity.notBefore = new Date(Date.now() - 60_000)
  certificate.validity.notAfter = new Date(Date.now() + validDays * 86_400_000)
  const subject = [{ name: 'commonName', value: name.slice(0, 64) }]
  certificate.setSubject(subject)
  certificate.setIssuer(subject)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
    { name: 'extKeyUsage', serverAuth: true },
    {
      name: 'subjectAltName',
      altNames: [
        { type: 2, value: name },
        { type: 2, value: 'localhost' },
        { type: 7, ip: '127.0.0.1' },
      ],
    },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(pair.privateKey), forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(certificate), key: pair.privateKey }
}

interface KeyPair {
  readonly publicKey: string
  readonly privateKey: string
}

function newPair(): Promise<KeyPair> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
}

function pairOf(privateKey: string): KeyPair {
  return { privateKey, publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString() }
}
