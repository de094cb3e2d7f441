import type { TLSSocket } from 'node:tls'

import { negotiatedTls } from '../negotiated-tls.ts'
import type { NegotiatedTls } from '../negotiated-tls.ts'

/** What TLS with a server came to. */
export interface TlsSession extends NegotiatedTls {
  /** Why the certificate would not have been trusted for the host's name; absent: it is. Also without a demand for it. */
  readonly distrust?: string
}

/** @param vouchedFor the TLSA records of its domain name the certificate (DANE): no authority has to */
export function tlsSessionOf(socket: TLSSocket, vouchedFor = false): TlsSession {
  const { authorized, authorizationError } = socket
  return {
    ...negotiatedTls(socket),
    ...(authorized || vouchedFor ? {} : { distrust: reasonOf(authorizationError) }),
  }
}

/** Declared as an Error; a code or a text in truth. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
