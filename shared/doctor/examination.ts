import { readFile } from 'node:fs/promises'

import type { Configuration } from '../config/model.ts'
import { recordOfKey } from '../dkim/configured-keys.ts'
import { livesOf } from '../dkim/key-lives.ts'
import { publicationOf } from '../dkim/publication.ts'
import type { Publication } from '../dkim/publication.ts'
import { createValidatingResolver } from '../dns/validating-resolver.ts'
import { createResolver } from '../resolver.ts'
import type { Resolver } from '../resolver.ts'
import { addressesOf } from './check-hosts.ts'
import { examineDomain } from './examine.ts'
import type { Instruments, Patient } from './examine.ts'
import type { Finding } from './finding.ts'

export interface Examination {
  readonly findings: readonly Finding[]
  /** Of each key of the domain that can be read, also of one that was replaced, by the name of its record. */
  readonly publications: readonly { readonly name: string; readonly kind: Publication['kind'] }[]
  /** Of this host, as its name leads to them. */
  readonly addresses: readonly string[]
}

/** Of one question, or one step of a conversation. */
const timeoutMs = 10_000
/** Asked when the configuration names no list of clients. */
const usualLists = ['zen.spamhaus.org', 'bl.spamcop.net']

/**
 * Looks at a domain from here with what the configuration says: its resolvers, keys, lists and authorities. DNS is asked anew.
 * @param outgoing a host of somebody else that is connected to, to see whether the way out is open
 */
export async function examine(
  configuration: Configuration,
  domain: string,
  { signal, outgoing }: { readonly signal: AbortSignal; readonly outgoing?: string },
): Promise<Examination> {
  const { pipeline, hostname } = configuration
  const patient: Patient = { domain, hostname, ...(await signingKeys(configuration, domain)) }
  const resolver = createResolver({ servers: pipeline.resolvers, timeoutMs })
  const validating = createValidatingResolver({ timeoutMs })
  validating.useServers(pipeline.validatingResolvers)
  const instruments: Instruments = {
    resolver,
    ...(pipeline.validatingResolvers.length === 0 ? {} : { validating }),
    lists: listsOf(configuration),
    smtpPort: pipeline.relayPort,
    policyPort: pipeline.mtaSts.port,
    ...(pipeline.tlsCa === undefined ? {} : { ca: await readFile(pipeline.tlsCa, 'utf8') }),
    ...(outgoing === undefined ? {} : { outgoing }),
    timeoutMs,
    signal,
  }
  try {
    const [findings, publications, { addresses }] = await Promise.all([
      examineDomain(patient, instruments),
      publicationsOf(configuration, domain, resolver),
      addressesOf(hostname, resolver),
    ])
    return { findings, publications, addresses }
  } finally {
    resolver.close()
    validating.close()
  }
}

async function signingKeys(
  { pipeline }: Configuration,
  domain: string,
): Promise<Pick<Patient, 'dkim' | 'dkimTroubles'>> {
  const keys = pipeline.dkim.filter((key) => key.domain === '*' || key.domain === domain)
  const records = await Promise.allSettled(keys.map((key) => recordOfKey(key, domain)))
  return {
    dkim: records.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    dkimTroubles: records.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
  }
}

async function publicationsOf(
  configuration: Configuration,
  domain: string,
  resolver: Resolver,
): Promise<Examination['publications']> {
  const { lives } = await livesOf(configuration, domain)
  return Promise.all(
    lives.map(async ({ record }) => ({ name: record.name, kind: (await publicationOf(record, resolver)).kind })),
  )
}

/** Those that are asked about our clients are asked about ourselves. */
function listsOf({ pipeline }: Configuration): readonly string[] {
  const asked = [
    ...pipeline.restrictions.flatMap(({ rule }) =>
      rule.kind === 'dnsbl' && rule.of === undefined && (rule.score ?? 1) > 0 ? [rule.zone] : [],
    ),
    ...pipeline.spam.lists.flatMap((list) => (list.of === 'client' && list.score > 0 ? [list.zone] : [])),
  ]
  return asked.length === 0 ? usualLists : [...new Set(asked)]
}
