import { readFile } from 'node:fs/promises'

import type { Configuration } from '../../shared/config/model.ts'
import { recordOfKey } from '../../shared/dkim/configured-keys.ts'
import { examineDomain } from '../../shared/doctor/examine.ts'
import type { Instruments, Patient } from '../../shared/doctor/examine.ts'
import type { Finding } from '../../shared/doctor/finding.ts'
import { createValidatingResolver } from '../../shared/dns/validating-resolver.ts'
import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { createResolver } from '../../shared/resolver.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { visible } from './terminal.ts'
import type { Colour } from './terminal.ts'

export const doctor: Command = {
  words: ['doctor'],
  operands: [{ name: 'DOMAIN', required: true }],
  options: [
    { name: 'outgoing', value: 'HOST', summary: 'a mail host of somebody else: whether connections to it get out' },
  ],
  summary:
    'how the world sees a domain: MX, names, SPF, DKIM, DMARC, MTA-STS, TLSA, ports, lists; exit code 1 when something is wrong',
  run,
}

const timeoutMs = 10_000
/** Asked when the configuration names no list of clients. */
const usualLists = ['zen.spamhaus.org', 'bl.spamcop.net']

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const domain = asciiDomain(operands[0] ?? '')
  if (domain === undefined || !isDomain(domain)) throw new UsageError(`'${operands[0] ?? ''}' is not a domain`)
  const { configuration } = await loadPlace(invocation)
  const findings = await examine(configuration, domain, options.text('outgoing'))
  if (options.has('json')) terminal.print(JSON.stringify(findings, undefined, 2))
  else for (const line of findings.flatMap((finding) => render(finding, terminal.paint))) terminal.print(line)
  return findings.some(({ verdict }) => verdict === 'wrong') ? exitCodes.failed : exitCodes.done
}

async function examine(
  configuration: Configuration,
  domain: string,
  outgoing: string | undefined,
): Promise<readonly Finding[]> {
  const { pipeline, hostname } = configuration
  const patient: Patient = { domain, hostname, dkim: await keysOf(configuration, domain) }
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
    signal: new AbortController().signal,
  }
  try {
    return await examineDomain(patient, instruments)
  } finally {
    resolver.close()
    validating.close()
  }
}

async function keysOf({ pipeline }: Configuration, domain: string): Promise<Patient['dkim']> {
  const keys = pipeline.dkim.filter((key) => key.domain === '*' || key.domain === domain)
  return Promise.all(keys.map((key) => recordOfKey(key, domain)))
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

const marks: Readonly<Record<Finding['verdict'], readonly [word: string, colour: Colour]>> = {
  good: ['good', 'green'],
  wrong: ['WRONG', 'red'],
  absent: ['-', 'dim'],
  unknown: ['unknown', 'yellow'],
}

function render(
  { check, verdict, text, publish }: Finding,
  paint: (colour: Colour, text: string) => string,
): readonly string[] {
  const [word, colour] = marks[verdict]
  const first = `${paint(colour, word.padEnd(8))}${check.padEnd(10)}${visible(text)}`
  return publish === undefined ? [first] : [first, `${' '.repeat(18)}publish: ${publish}`]
}
