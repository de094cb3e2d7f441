import { isUsable } from '../dns/tlsa.ts'
import { openConnection } from '../smtp-client/open-connection.ts'
import type { TlsPolicy } from '../smtp-client/open-connection.ts'
import type { TlsSession } from '../smtp-client/tls-session.ts'
import { addressesOf, plainName, recordsOf } from './check-hosts.ts'
import type { Instruments, Patient } from './examine.ts'
import type { Findings } from './finding.ts'

/** A domain may name many; each is connected to. */
const maxHosts = 5

/** Whether the domain's hosts take mail, and by TLS that can be trusted, as it looks from here. */
export async function checkIncoming(patient: Patient, instruments: Instruments, findings: Findings): Promise<void> {
  const { ca, smtpPort } = instruments
  const policy: TlsPolicy = { mode: 'opportunistic', verify: false, ...(ca === undefined ? {} : { ca }) }
  await Promise.all(
    (await hostsOf(patient, instruments)).map(async (host) => {
      try {
        const tls = await greet(host, policy, patient, instruments)
        if (tls === undefined) findings.wrong(`${host} answers on port ${smtpPort}, and offers no TLS`)
        else if (tls.distrust !== undefined)
          findings.wrong(`${host} answers on port ${smtpPort}, and nobody can trust its certificate: ${tls.distrust}`)
        else findings.good(`${host} answers on port ${smtpPort}, by ${tls.version} with a certificate of its name`)
      } catch (error) {
        findings.wrong(`${host} takes no mail on port ${smtpPort}: ${(error as Error).message}`)
      }
    }),
  )
}

/** Whether TLSA records fit the certificates of the domain's hosts (RFC 7672). */
export async function checkTlsa(patient: Patient, instruments: Instruments, findings: Findings): Promise<void> {
  const { validating } = instruments
  if (validating === undefined)
    return findings.unknown(
      'TLSA records need `resolver "..." validating` in pipeline.conf: nobody else can check them',
    )
  await Promise.all(
    (await hostsOf(patient, instruments)).map(async (host) => {
      const answer = await validating.tlsa(`_${instruments.smtpPort}._tcp.${host}`)
      if (answer.kind === 'failed') return findings.unknown(`the TLSA records of ${host}: ${answer.error.message}`)
      if (answer.kind === 'absent') return findings.absent(`${host} has no TLSA record`)
      if (!answer.authenticated) return findings.wrong(`the TLSA records of ${host} are not signed: nobody heeds them`)
      const records = answer.records.filter(isUsable)
      if (records.length === 0) return findings.wrong(`none of the TLSA records of ${host} is one for mail`)
      try {
        const dane = { records, names: [host, patient.domain] }
        await greet(host, { mode: 'required', verify: false, dane }, patient, instruments)
        findings.good(`the certificate of ${host} is the one of its TLSA records`)
      } catch (error) {
        findings.wrong(`${host} by its TLSA records: ${(error as Error).message}`)
      }
    }),
  )
}

/** Whether connections to other servers' port 25 leave this network: many providers close it. */
export async function checkOutgoing(patient: Patient, instruments: Instruments, findings: Findings): Promise<void> {
  const { outgoing, smtpPort } = instruments
  if (outgoing === undefined)
    return findings.absent('the way out was not tried: name a host of somebody else with --outgoing')
  try {
    await greet(outgoing, { mode: 'none', verify: false }, patient, instruments)
    findings.good(`${outgoing} answers on port ${smtpPort}: the way out is open`)
  } catch (error) {
    findings.wrong(`no way out to port ${smtpPort} of ${outgoing}: ${(error as Error).message}`)
  }
}

/** In the order of their preference; without MX the domain itself (RFC 5321 §5.1). */
async function hostsOf({ domain }: Patient, { resolver }: Instruments): Promise<readonly string[]> {
  const records = recordsOf(await resolver.mx(domain))
  const hosts = records.toSorted((one, other) => one.priority - other.priority).map((one) => plainName(one.exchange))
  return hosts.length === 0 ? [domain] : hosts.filter((host) => host !== '').slice(0, maxHosts)
}

/** Connects, says EHLO and QUIT. @throws Error with what went wrong */
async function greet(
  host: string,
  tls: TlsPolicy,
  { hostname }: Patient,
  { resolver, smtpPort, timeoutMs, signal }: Instruments,
): Promise<TlsSession | undefined> {
  const { addresses, trouble } = await addressesOf(host, resolver)
  const [address] = addresses
  if (address === undefined) throw new Error(trouble ?? 'it has no address')
  const connection = await openConnection({
    endpoint: { kind: 'tcp', host, address, port: smtpPort },
    protocol: 'smtp',
    helo: hostname,
    tls,
    timeouts: { connectMs: timeoutMs, greetingMs: timeoutMs, helloMs: timeoutMs },
    signal,
  })
  const session = connection.tls
  await connection.close()
  return session
}
