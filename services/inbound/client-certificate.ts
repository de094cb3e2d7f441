import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

import type { ClientCertificate } from '../../shared/restrictions/question.ts'

/** What the client proved to have in the handshake, or in that of the session it resumes; absent: nothing. */
export function clientCertificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  return {
    fingerprint: certificate.fingerprint256,
    // Without a certificate a resumed session counts as authorised, too.
    verified: socket.authorized,
    subject: subjectOf(certificate),
    ...namesOf(certificate),
  }
}

/** Node's types do not tell that a certificate may have no subject. */
type Named = Partial<Pick<X509Certificate, 'subject' | 'subjectAltName'>>

/** In one line: `CN=client.example.org, O=Example`. */
function subjectOf({ subject = '' }: Named): string {
  return subject.split('\n').toReversed().join(', ')
}

function namesOf({ subject = '', subjectAltName = '' }: Named): Pick<ClientCertificate, 'hosts' | 'mailboxes'> {
  const [, common] = /^CN=(.+)$/m.exec(subject) ?? []
  const hosts = common === undefined ? [] : [common]
  const mailboxes: string[] = []
  for (const { kind, value } of alternativesIn(subjectAltName)) {
    if (kind === 'DNS') hosts.push(value)
    if (kind === 'email') mailboxes.push(value)
  }
  return { hosts: [...new Set(hosts)], mailboxes }
}

/**
 * The alternatives as Node writes them, `DNS:a.example, email:jane@example.org`. A value with a comma or the like stands in quotes, and is
 * left out: what looks like another name inside it is none.
 */
export function alternativesIn(text: string): readonly { readonly kind: string; readonly value: string }[] {
  const alternative = /([A-Za-z ]+):(?:"(?:[^"\\]|\\.)*"|([^,"]*))(?:, |$)/gy
  const found: { readonly kind: string; readonly value: string }[] = []
  for (const [, kind = '', value] of text.matchAll(alternative)) if (value !== undefined) found.push({ kind, value })
  return found
}
