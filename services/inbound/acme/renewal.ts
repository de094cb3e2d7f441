import { X509Certificate, createHash } from 'node:crypto'

/** Of the life of a certificate, after which the next one is ordered; up to so much later, so that not all the world comes at once. */
const dueAfter = 2 / 3
const spread = 1 / 20

/**
 * When a certificate for these domains is to be ordered, epoch ms; 0: at once, since what is there is self-signed, is none, or names
 * other domains.
 */
export function dueAt(pem: string, domains: readonly string[]): number {
  const certificate = parsed(pem)
  if (certificate === undefined || certificate.issuer === certificate.subject) return 0
  if (!domains.every((name) => names(certificate, name))) return 0
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  return from + (to - from) * (dueAfter + spread * fractionOf(certificate.serialNumber))
}

/** Whether it is for this key and names all the domains; anything else must not be served. */
export function fits(
  pem: string,
  domains: readonly string[],
  isOwnKey: (certificate: X509Certificate) => boolean,
): boolean {
  const certificate = parsed(pem)
  return certificate !== undefined && isOwnKey(certificate) && domains.every((name) => names(certificate, name))
}

function names(certificate: X509Certificate, domain: string): boolean {
  if (!domain.startsWith('*.')) return certificate.checkHost(domain) !== undefined
  return (certificate.subjectAltName ?? '').split(', ').includes(`DNS:${domain}`)
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** The same for one certificate, anything from 0 to 1 for several. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32
}
