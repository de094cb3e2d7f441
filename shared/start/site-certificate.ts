import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'

import { putFile } from './put-file.ts'
import { StartError } from './start-error.ts'

export interface InstalledCertificate {
  /** Host names in it. */
  readonly names: readonly string[]
  readonly validUntil: Date
  /** It is in place all the same: programs will warn of it, one sentence each. */
  readonly warnings: readonly string[]
}

/**
 * Puts a certificate with its chain and its key in the place of those in the folder of a site (`tls/`). Each file is replaced as a whole, the key last; who serves
 * them takes the new pair at its next look.
 * @param pem certificates, the host's own first, and one key that needs no password, in any order
 * @throws StartError when they do not belong together or are over: nothing was changed
 */
export async function putSiteCertificate(
  folder: string,
  pem: string,
  { hostname, nowAt }: { readonly hostname: string; readonly nowAt: number },
): Promise<InstalledCertificate> {
  const blocks = pem.match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g) ?? []
  const chain = blocks.filter((block) => block.startsWith('-----BEGIN CERTIFICATE-----'))
  const keys = blocks.filter((block) => /^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(block))
  const [first] = chain
  const [key] = keys
  if (first === undefined || key === undefined || keys.length > 1)
    throw new StartError(
      `a certificate, its chain and one key are wanted, in PEM: found ${chain.length} and ${keys.length}`,
    )
  const certificate = certificateIn(first)
  const privateKey = keyIn(key)
  if (!certificate.checkPrivateKey(privateKey)) throw new StartError('the key is not that of the first certificate')
  const validUntil = new Date(certificate.validTo)
  if (validUntil.getTime() <= nowAt) throw new StartError(`the certificate is over since ${validUntil.toISOString()}`)
  await putFile(join(folder, 'tls', 'cert.pem'), chain.map((block) => `${block}\n`).join(''), 0o644)
  await putFile(join(folder, 'tls', 'key.pem'), `${key}\n`, 0o600)
  return {
    names: (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^DNS:/, '')),
    validUntil,
    warnings: [
      ...(certificate.checkHost(hostname) === undefined ? [`it is not for ${hostname}, as this host is called`] : []),
      ...(chain.length === 1 && certificate.issuer === certificate.subject ? ['it is signed by itself'] : []),
    ],
  }
}

function certificateIn(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new StartError('the first certificate cannot be read', { cause: error })
  }
}

function keyIn(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new StartError('the key cannot be read: it must need no password', { cause: error })
  }
}
