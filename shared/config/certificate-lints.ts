import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

import type { Lint } from './lints.ts'
import type { Configuration, Pki } from './model.ts'

const dayMs = 86_400_000
/** Certificates of authorities are renewed before. */
const soonMs = 7 * dayMs

/** Certificates that clients and servers who look at them do not believe. What is not there or cannot be read is told elsewhere. */
export function certificateLints({ pkis, pipeline }: Configuration, nowAt = Date.now()): readonly Lint[] {
  return [...pkis.values()]
    .filter(({ cert }) => cert !== pipeline.acme?.certFile)
    .flatMap((pki) => {
      const fault = faultOf(pki, nowAt)
      return fault === undefined ? [] : [{ at: pki.at, fault: { code: 'certificate' as const, ...fault } }]
    })
}

function faultOf({ name, cert }: Pki, nowAt: number): { readonly message: string; readonly hint: string } | undefined {
  const certificate = readCertificate(cert)
  if (certificate === undefined) return undefined
  const [fromAt, untilAt] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  const until = new Date(untilAt).toISOString().slice(0, 10)
  if (fromAt > nowAt)
    return { message: `the certificate of "${name}" does not hold yet`, hint: 'look at the clock of this machine' }
  if (untilAt <= nowAt) return { message: `the certificate of "${name}" has expired (${until})`, hint: 'renew it' }
  if (isSelfSigned(certificate)) {
    const years = Math.round((untilAt - fromAt) / (365 * dayMs))
    const lasts = years > 2 ? `, for ${years} years` : ''
    const message = `the certificate of "${name}" is signed by itself${lasts}: clients warn of it or refuse it`
    return { message, hint: 'get one from an authority: `acme` of pipeline.conf orders and renews it' }
  }
  if (untilAt - nowAt < soonMs) return { message: `the certificate of "${name}" ends on ${until}`, hint: 'renew it' }
  return undefined
}

function readCertificate(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(path))
  } catch {
    return undefined
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey)
}
