import { readFile } from 'node:fs/promises'

import type { Authorization, Client } from 'acme-client'

import type { AcmeSettings } from '../../../shared/config/model.ts'
import { accountKey, privateKeyIn } from './certificate-pair.ts'
import { certificateRequest } from './certificate-request.ts'
import { openChallenges } from './challenges.ts'
import type { Challenges } from './challenges.ts'
import { fits } from './renewal.ts'

/** For one request to the certificate authority. */
const requestMs = 60_000

/** A certificate for the domains and the key that is there, with its chain, in PEM. @throws when it is not given */
export async function orderCertificate(settings: AcmeSettings): Promise<string> {
  const { directory, email, domains, keyFile } = settings
  // Some fifty modules that most sites never need.
  const acme = await import('acme-client')
  acme.axios.defaults.timeout = requestMs
  let silence: string | undefined
  acme.setLogger((line) => (silence = silenceIn(line) ?? silence))
  const client = new acme.Client({ directoryUrl: directory, accountKey: await accountKey(settings) })
  try {
    await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] })
  } catch (error) {
    throw error instanceof TypeError && silence !== undefined ? new Error(silence) : error
  }
  const order = await client.createOrder({ identifiers: domains.map((value) => ({ type: 'dns', value })) })
  const challenges = await openChallenges(settings)
  try {
    for (const authorization of await client.getAuthorizations(order)) await prove(authorization, client, challenges)
  } finally {
    await challenges.close()
  }
  const request = certificateRequest(domains, await readFile(keyFile, 'utf8'))
  const pem = await client.getCertificate(await client.finalizeOrder(order, request))
  const key = await privateKeyIn(keyFile)
  if (!fits(pem, domains, (certificate) => certificate.checkPrivateKey(key)))
    throw new Error('the certificate that came is not the one that was ordered')
  return pem
}

/** acme-client 5.4 trips over a request that nobody answers; why nobody did stands in its log alone. */
function silenceIn(line: string): string | undefined {
  const [, code, url] = /^Caught (\w+), retry attempt .* to URL (\S+)$/.exec(line) ?? []
  return code === undefined ? undefined : `${url} gives no answer: ${code}`
}

/** Shows that one domain is ours (RFC 8555 section 7.5.1). */
async function prove(authorization: Authorization, client: Client, challenges: Challenges): Promise<void> {
  if (authorization.status === 'valid') return
  const domain = authorization.identifier.value
  const challenge = authorization.challenges.find(({ type }) => type === challenges.type)
  if (challenge === undefined) throw new Error(`${domain}: the certificate authority does not offer ${challenges.type}`)
  const proof = await client.getChallengeKeyAuthorization(challenge)
  try {
    await challenges.show(domain, challenge.token, proof)
    await client.completeChallenge(challenge)
    await client.waitForValidStatus(challenge)
  } finally {
    // What stays harms nobody, and must not hide why it was not believed.
    await challenges.remove(domain, challenge.token, proof).catch(() => undefined)
  }
}
