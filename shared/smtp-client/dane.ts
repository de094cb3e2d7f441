import { createHash, X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'

import { CertificateError } from '../certificate-fault.ts'
import type { TlsaRecord } from '../dns/tlsa.ts'

/** Who a server must be (RFC 7672 §3). */
export interface DaneDemand {
  /** Usable ones; one of them must fit. */
  readonly records: readonly TlsaRecord[]
  /**
   * Names one of which the server's certificate must carry, when an authority vouches for it. The first is that of the records, and the
   * one it is asked for (SNI, RFC 7672 §8.1).
   */
  readonly names: readonly string[]
}

/** More than any honest chain has. */
const maxChain = 12

/** Why the server's certificate is not the one that its domain's TLSA records promise; undefined when it is. */
export function daneTrouble(socket: TLSSocket, demand: DaneDemand, nowAt: number): CertificateError | undefined {
  return chainTrouble(chainOf(socket.getPeerCertificate(true)), demand, nowAt)
}

/** @param chain the server's certificate first, each followed by its issuer's */
export function chainTrouble(
  chain: readonly X509Certificate[],
  { records, names }: DaneDemand,
  nowAt: number,
): CertificateError | undefined {
  const [server] = chain
  if (server === undefined) return notTrusted('the server has no certificate')
  // Neither name nor time matter: the domain has named this very certificate or key (RFC 7672 §3.1.1).
  if (records.some((record) => record.usage === 3 && fits(record, server))) return undefined
  const authorities = records.filter((record) => record.usage === 2)
  if (authorities.length === 0) return notTrusted('the certificate is not the one of the TLSA records')
  const depth = vouchedDepth(chain, authorities)
  if (depth === undefined) return notTrusted('no authority of the TLSA records vouches for the certificate')
  const late = chain.slice(0, depth + 1).find((certificate) => !isInForce(certificate, nowAt))
  if (late !== undefined) return new CertificateError(`the certificate of ${nameOf(late)} is out of date`, 'expired')
  // RFC 7672 §3.2.2: the subject's common name is none of its names.
  if (names.some((name) => server.checkHost(name, { subject: 'never' }) !== undefined)) return undefined
  return new CertificateError(`the certificate is not for ${names.join(' or ')}`, 'host-mismatch')
}

function notTrusted(message: string): CertificateError {
  return new CertificateError(message, 'not-trusted')
}

function chainOf(peer: DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let next: DetailedPeerCertificate | undefined = peer
  // Without a certificate the object is empty; a self-signed one is its own issuer.
  while (next?.raw !== undefined && chain.length < maxChain) {
    chain.push(new X509Certificate(next.raw))
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate
  }
  return chain
}

/** How far up an authority of the records stands, every signature up to it checked. */
function vouchedDepth(chain: readonly X509Certificate[], authorities: readonly TlsaRecord[]): number | undefined {
  for (const [depth, certificate] of chain.entries()) {
    if (depth > 0 && authorities.some((record) => fits(record, certificate))) return depth
    if (authorities.some((record) => isSignedByRecord(certificate, record))) return depth
    const issuer = chain[depth + 1]
    if (issuer === undefined || !isSignedBy(certificate, issuer)) return undefined
  }
  return undefined
}

/** A whole certificate in the record need not be sent by the server (RFC 7672 §3.1.2). */
function isSignedByRecord(certificate: X509Certificate, { selector, matching, data }: TlsaRecord): boolean {
  if (selector !== 0 || matching !== 0) return false
  try {
    return isSignedBy(certificate, new X509Certificate(data))
  } catch {
    return false
  }
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function fits({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const octets = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' })
  if (matching === 0) return octets.equals(data)
  return createHash(matching === 1 ? 'sha256' : 'sha512')
    .update(octets)
    .digest()
    .equals(data)
}

function isInForce({ validFrom, validTo }: X509Certificate, nowAt: number): boolean {
  return Date.parse(validFrom) <= nowAt && nowAt <= Date.parse(validTo)
}

/** Node's types do not tell that a certificate may have no subject. */
function nameOf({ subject }: Partial<Pick<X509Certificate, 'subject'>>): string {
  return subject === undefined ? 'nobody' : subject.replaceAll('\n', ', ')
}
