/** A server's certificate is not what was asked for. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  readonly fault: CertificateFault

  constructor(message: string, fault: CertificateFault) {
    super(message)
    this.fault = fault
  }
}

export type CertificateFault = 'host-mismatch' | 'expired' | 'not-trusted'

const notTrusted: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_CHAIN_TOO_LONG',
  'CERT_SIGNATURE_FAILURE',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_UNTRUSTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
])

/** What a handshake found wrong with a certificate, by Node's code or one of our own errors; undefined: something else went wrong. */
export function certificateFault(error: unknown): CertificateFault | undefined {
  if (error instanceof CertificateError) return error.fault
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : error
  if (typeof code !== 'string') return undefined
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') return 'host-mismatch'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return 'expired'
  return notTrusted.has(code) ? 'not-trusted' : undefined
}
