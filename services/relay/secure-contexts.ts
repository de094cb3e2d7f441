import { createSecureContext } from 'node:tls'
import type { SecureContext } from 'node:tls'

import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'

const maxKept = 64

/** TLS settings made ready once for many connections: to read a list of authorities takes longer than the rest of a session. */
export class SecureContexts {
  /** By the text of the authorities, then by the rest. */
  readonly #kept = new Map<string, Map<string, SecureContext>>()
  #count = 0

  prepare(policy: TlsPolicy): TlsPolicy {
    if (policy.mode === 'none') return policy
    const { minVersion, maxVersion, ciphers, ca = '', cert, key } = policy
    const ofAuthorities = this.#kept.get(ca) ?? new Map<string, SecureContext>()
    const rest = JSON.stringify([minVersion, maxVersion, ciphers, cert, key])
    const secureContext = ofAuthorities.get(rest) ?? contextOf(policy)
    if (secureContext === undefined) return policy
    if (!ofAuthorities.has(rest)) this.#keep(ca, ofAuthorities.set(rest, secureContext))
    return { ...policy, secureContext }
  }

  /** Certificates are renewed: what was made of former ones goes when there is too much of it. */
  #keep(ca: string, ofAuthorities: Map<string, SecureContext>): void {
    this.#count += 1
    if (this.#count > maxKept) {
      this.#kept.clear()
      this.#count = 0
    }
    this.#kept.set(ca, ofAuthorities)
  }
}

/** Undefined for settings that do not fit together: the connection tells that. */
function contextOf({ minVersion, maxVersion, ciphers, ca, cert, key }: TlsPolicy): SecureContext | undefined {
  try {
    return createSecureContext({
      minVersion: minVersion ?? 'TLSv1.2',
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === undefined ? {} : { ciphers }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
  } catch {
    return undefined
  }
}
