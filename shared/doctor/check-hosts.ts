import { mxLine, reverseLine } from './zone-lines.ts'
import { dnsblName, isListing } from '../restrictions/dnsbl.ts'
import type { LookUp, Resolver } from '../resolver.ts'
import type { Instruments, Patient } from './examine.ts'
import type { Findings } from './finding.ts'

/** Whether mail for the domain comes to this server. */
export async function checkMx(
  { domain, hostname }: Patient,
  { resolver }: Instruments,
  findings: Findings,
): Promise<void> {
  const publish = mxLine(domain, hostname)
  const answer = await resolver.mx(domain)
  if (answer.kind === 'failed') return findings.unknown(`the MX records of ${domain}: ${answer.error.message}`)
  const hosts = recordsOf(answer).map(({ exchange }) => plainName(exchange))
  if (hosts.length === 0) return findings.wrong(`${domain} has no MX record`, publish)
  if (hosts.includes('')) return findings.wrong(`${domain} says that it takes no mail (null MX)`, publish)
  if (hosts.includes(hostname)) return findings.good(`${domain} is served by ${hosts.join(', ')}`)
  findings.wrong(`mail for ${domain} goes to ${hosts.join(', ')}, not to ${hostname}`, publish)
}

/** Whether this server's name has an address. */
export async function checkAddresses(
  { hostname }: Patient,
  { resolver }: Instruments,
  findings: Findings,
): Promise<void> {
  const { addresses, trouble } = await addressesOf(hostname, resolver)
  if (addresses.length > 0) findings.good(`${hostname} is ${addresses.join(', ')}`)
  else if (trouble !== undefined) findings.unknown(`the addresses of ${hostname}: ${trouble}`)
  else findings.wrong(`${hostname} has no address`, `${hostname}. IN A ADDRESS`)
}

/** Whether each address has the name, and the name the address: many take no mail without. */
export async function checkReverse(
  { hostname }: Patient,
  { resolver }: Instruments,
  findings: Findings,
): Promise<void> {
  const { addresses } = await addressesOf(hostname, resolver)
  for (const address of addresses) {
    const answer = await resolver.ptr(address)
    const names = recordsOf(answer).map(plainName)
    const publish = reverseLine(address, hostname)
    if (answer.kind === 'failed') findings.unknown(`the name of ${address}: ${answer.error.message}`)
    else if (names.includes(hostname)) findings.good(`${address} is ${hostname}, both ways`)
    else if (names.length === 0) findings.wrong(`${address} has no name`, publish)
    else findings.wrong(`${address} is called ${names.join(', ')}, not ${hostname}`, publish)
  }
}

/** Whether somebody warns of this server. */
export async function checkLists(
  { hostname }: Patient,
  { resolver, lists }: Instruments,
  findings: Findings,
): Promise<void> {
  const { addresses } = await addressesOf(hostname, resolver)
  const questions = addresses.flatMap((address) => lists.map((zone) => ({ address, zone })))
  await Promise.all(
    questions.map(async ({ address, zone }) => {
      const name = dnsblName(address, zone)
      if (name === undefined) return
      const answer = await resolver.a(name)
      if (answer.kind === 'failed') return findings.unknown(`${zone} about ${address}: ${answer.error.message}`)
      if (!isListing(recordsOf(answer))) return findings.good(`${address} is not on ${zone}`)
      const [why] = recordsOf(await resolver.txt(name))
      findings.wrong(`${address} is on ${zone}${why === undefined ? '' : `: ${why}`}`)
    }),
  )
}

/** Of both families. */
export async function addressesOf(
  name: string,
  resolver: Pick<Resolver, 'a' | 'aaaa'>,
): Promise<{ readonly addresses: readonly string[]; readonly trouble?: string }> {
  const answers = await Promise.all([resolver.a(name), resolver.aaaa(name)])
  const failed = answers.find((answer) => answer.kind === 'failed')
  const addresses = answers.flatMap(recordsOf)
  return failed === undefined ? { addresses } : { addresses, trouble: failed.error.message }
}

export function recordsOf<T>(answer: LookUp<T>): readonly T[] {
  return answer.kind === 'found' ? answer.records : []
}

/** In lower case, without the dot at its end. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
