import type { SpamList } from '../../../shared/config/model.ts'
import type { TableSet } from '../../../shared/config/tables.ts'
import { linksOf, mostReadBytes, readMail } from '../../../shared/classifier/readable-mail.ts'
import type { Resolver } from '../../../shared/resolver.ts'
import { boundedDns } from '../../../shared/restrictions/dns.ts'
import { isListed, reversedAddress } from '../../../shared/restrictions/dnsbl.ts'
import { isFromStranger } from '../authentication/engine.ts'
import { organisationalDomain } from '../authentication/organisational-domain.ts'
import type { Engine, ScanMessage, ScanSymbol } from '../engine.ts'
import { firstOctets } from '../first-octets.ts'

export interface ListsOptions {
  readonly lists: readonly SpamList[]
  readonly resolver: Resolver
  readonly tables: TableSet
}

/** A message that names more domains is judged by these; asking for hundreds would be a burden to the lists. */
const mostDomains = 20

/** Looks the client, and the domains a message links to, up in lists in DNS. A list that does not answer lists nobody. */
export function createListsEngine({ lists, resolver, tables }: ListsOptions): Engine {
  const dns = boundedDns(resolver)
  const ofClients = lists.filter(({ of }) => of === 'client')
  const ofLinks = lists.filter(({ of }) => of === 'links')

  async function lookUp(list: SpamList, names: ReadonlyMap<string, string>): Promise<readonly ScanSymbol[]> {
    const answers = await Promise.all(
      [...names].map(async ([what, name]) =>
        (await isListed(list, `${name}.${list.zone}`, { dns, tables })) ? what : [],
      ),
    )
    const listed = answers.flat()
    if (listed.length === 0) return []
    return [{ name: symbolOf(list), score: list.score, text: `${listed.join(', ')} in ${list.zone}` }]
  }

  return {
    name: 'lists',
    applies: isFromStranger,
    async scan(message) {
      const startedAt = performance.now()
      const client = clientOf(message)
      const linked = ofLinks.length === 0 ? new Map<string, string>() : await domainsOf(message)
      const found = await Promise.all([
        ...ofClients.map((list) => lookUp(list, client)),
        ...ofLinks.map((list) => lookUp(list, linked)),
      ])
      const symbols = found.flat()
      return {
        status: 'ok',
        score: symbols.reduce((sum, { score }) => sum + score, 0),
        symbols,
        tookMs: performance.now() - startedAt,
      }
    },
    close: async () => {},
  }
}

/** `ZEN_SPAMHAUS_ORG` */
function symbolOf({ zone }: SpamList): string {
  return zone.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')
}

/** What is asked for by what it is. */
function clientOf({ envelope: { origin } }: ScanMessage): ReadonlyMap<string, string> {
  const address = origin.kind === 'smtp' ? origin.address : undefined
  const name = address === undefined ? undefined : reversedAddress(address)
  return new Map(address === undefined || name === undefined ? [] : [[address, name]])
}

/** Domains as they are registered, and addresses turned round (RFC 5782 §3). */
async function domainsOf(message: ScanMessage): Promise<ReadonlyMap<string, string>> {
  const domains = new Map<string, string>()
  for (const link of linksOf(readMail(await firstOctets(message, mostReadBytes)))) {
    const host = /^(?:https?:)?\/\/(?:[^/?#]*@)?([^/?#:\s]+)/i.exec(link)?.[1] ?? /^(www\.[^/?#:\s]+)/i.exec(link)?.[1]
    if (host === undefined || !host.includes('.')) continue
    const lower = host.toLowerCase().replace(/\.$/, '')
    const name = reversedAddress(lower) ?? organisationalDomain(lower)
    if (/^(?=.{1,180}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+$/.test(name)) domains.set(name, name)
    if (domains.size >= mostDomains) break
  }
  return domains
}
