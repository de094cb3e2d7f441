import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import type { Configuration } from './config/model.ts'

/** A certificate of the configuration, as whoever looks at it sees it. */
export interface CertificateView {
  /** Of its `pki`. */
  readonly pki: string
  readonly file: string
  /** Where it is shown: `127.0.0.1:25`. */
  readonly listeners: readonly string[]
  /** Absent: it cannot be read. */
  readonly found?: {
    readonly names: readonly string[]
    /** `itself`: nobody vouches for it. */
    readonly issuer: string
    readonly fromAt: number
    readonly untilAt: number
  }
  /** Why it cannot be read, one sentence. */
  readonly trouble?: string
}

/** Reads the certificates of all `pki`. */
export function viewCertificates({ pkis, listeners }: Configuration): Promise<readonly CertificateView[]> {
  return Promise.all(
    [...pkis.values()].map(async ({ name, cert }): Promise<CertificateView> => {
      const shown = listeners.filter((listener) => listener.tls !== 'none' && listener.pkis.includes(name))
      const about = { pki: name, file: cert, listeners: shown.map(({ on, port }) => `${on}:${port}`) }
      try {
        return { ...about, found: describe(new X509Certificate(await readFile(cert))) }
      } catch (error) {
        return { ...about, trouble: (error as Error).message }
      }
    }),
  )
}

function describe(certificate: X509Certificate): NonNullable<CertificateView['found']> {
  const names = [...(certificate.subjectAltName ?? '').matchAll(/(?:DNS|IP Address):([^,]+)/g)].map(
    (one) => one[1] ?? '',
  )
  return {
    names: names.length > 0 ? names : [part(certificate.subject, 'CN')],
    issuer: certificate.subject === certificate.issuer ? 'itself' : issuerOf(certificate.issuer),
    fromAt: Date.parse(certificate.validFrom),
    untilAt: Date.parse(certificate.validTo),
  }
}

/** `R11 (Let's Encrypt)` */
function issuerOf(issuer: string): string {
  const [name, organisation] = [part(issuer, 'CN'), part(issuer, 'O')]
  return organisation === '' || organisation === name ? name : `${name} (${organisation})`
}

/** Of a distinguished name, as Node writes it: one attribute a line. */
function part(distinguished: string, attribute: string): string {
  const line = distinguished.split('\n').find((one) => one.startsWith(`${attribute}=`))
  return line?.slice(attribute.length + 1) ?? ''
}
