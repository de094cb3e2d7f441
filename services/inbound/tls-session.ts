import type { TLSSocket } from 'node:tls'

import { negotiatedTls } from '../../shared/negotiated-tls.ts'
import type { NegotiatedTls } from '../../shared/negotiated-tls.ts'
import { clientCertificateOf } from './client-certificate.ts'

/** What is known of a connection after its handshake. */
export interface TlsSession extends NegotiatedTls {
  /** It goes on from an earlier connection, by a ticket. */
  readonly resumed: boolean
  /** Of ours, as the client asked for it (SNI). */
  readonly servername?: string
  /** Of the certificate it proved to have: `CN=client.example.org, O=Example`. */
  readonly clientSubject?: string
  /** SHA-256 of that certificate, whoever signed it. */
  readonly clientFingerprint?: string
}

export function tlsSessionOf(socket: TLSSocket): TlsSession {
  const { servername } = socket as TLSSocket & { readonly servername?: string | false }
  const certificate = clientCertificateOf(socket)
  return {
    ...negotiatedTls(socket),
    resumed: socket.isSessionReused(),
    ...(typeof servername === 'string' && servername !== '' ? { servername: servername.slice(0, 255) } : {}),
    ...(certificate?.verified === true ? { clientSubject: certificate.subject } : {}),
    ...(certificate === undefined ? {} : { clientFingerprint: certificate.fingerprint }),
  }
}
