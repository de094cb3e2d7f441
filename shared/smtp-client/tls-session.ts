import type { TLSSocket } from 'node:tls'

/** What TLS with a server came to. */
export interface TlsSession {
  /** `TLSv1.3`. */
  readonly version: string
  /** By its name of the registry: `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** Why the certificate would not have been trusted for the host's name; absent: it is. Also without a demand for it. */
  readonly distrust?: string
}

/** @param vouchedFor the TLSA records of its domain name the certificate (DANE): no authority has to */
export function tlsSessionOf(socket: TLSSocket, vouchedFor = false): TlsSession {
  const { authorized, authorizationError } = socket
  return {
    version: socket.getProtocol() ?? 'TLS',
    cipher: socket.getCipher().standardName,
    ...(authorized || vouchedFor ? {} : { distrust: reasonOf(authorizationError) }),
  }
}

/** Declared as an Error; a code or a text in truth. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
