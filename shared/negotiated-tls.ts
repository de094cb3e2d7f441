import type { CipherNameAndProtocol, TLSSocket } from 'node:tls'

/** What both sides of a TLS connection agreed on. */
export interface NegotiatedTls {
  /** `TLSv1.3`. */
  readonly version: string
  /** By its name of the registry: `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
}

/** Of a connection that the other side has reset meanwhile nothing is known any more; Node's types do not say so. */
export function negotiatedTls(socket: TLSSocket): NegotiatedTls {
  const cipher = socket.getCipher() as CipherNameAndProtocol | null | undefined
  return { version: socket.getProtocol() ?? 'TLS', cipher: cipher?.standardName ?? 'unknown' }
}
