import type { SpamList } from '../../../shared/config/model.ts'
import type { TableSet } from '../../../shared/config/tables.ts'
import { mostReadBytes } from '../../../shared/classifier/readable-mail.ts'
import type { FilterTally } from '../../../shared/filter-tally/tally.ts'
import type { Resolver } from '../../../shared/resolver.ts'
import { boundedDns } from '../../../shared/restrictions/dns.ts'
import { isListed, reversedAddress } from '../../../shared/restrictions/dnsbl.ts'
import { workerFile } from '../../../shared/workers/start-worker.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Engine, ScanMessage, ScanSymbol } from '../engine.ts'
import { firstOctets } from '../first-octets.ts'
import { createOctetWork } from '../octet-work.ts'
import linkedDomains from './linked-domains.ts'

export interface ListsOptions {
  readonly lists: readonly SpamList[]
  readonly resolver: Resolver
  readonly tables: TableSet
  /** Absent: nobody counts what lists answer. */
  readonly filterTally?: Pick<FilterTally, 'answered'>
  /** One for each core when left out. */
  readonly threads?: number
}

/** 1 MB takes up to 0.25 s on a machine that is not busy. */
const wallMs = 10_000

/** Looks the client, and the domains a message links to, up in lists in DNS. A list that does not answer lists nobody. */
export function createListsEngine({ lists, resolver, tables, filterTally, threads }: ListsOptions): Engine {
  const dns = boundedDns(resolver)
  const ofClients = lists.filter(({ of }) => of === 'client')
  const ofLinks = lists.filter(({ of }) => of === 'links')
  const reading = createOctetWork({
    file: workerFile('./linked-domains.ts', import.meta.url),
    work: linkedDomains,
    wallMs,
    ...(threads === undefined ? {} : { threads }),
  })

  async function domainsOf(message: ScanMessage, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const domains = await reading.run(await firstOctets(message, mostReadBytes), signal)
    return new Map(domains.map((name) => [name, name]))
  }

  async function lookUp(list: SpamList, names: ReadonlyMap<string, string>): Promise<readonly ScanSymbol[]> {
    const answers = await Promise.all(
      [...names].map(async ([what, name]) =>
        (await isListed(list, `${name}.${list.zone}`, { dns, tables, filterTally })) ? what : [],
      ),
    )
    const listed = answers.flat()
    if (listed.length === 0) return []
    return [{ name: symbolOf(list), score: list.score, text: `${listed.join(', ')} in ${list.zone}` }]
  }

  return {
    name: 'lists',
    applies: isFromStranger,
    async scan(message, signal) {
      const startedAt = performance.now()
      const client = clientOf(message)
      const linked = ofLinks.length === 0 ? new Map<string, string>() : await domainsOf(message, signal)
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
    close: () => reading.close(),
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
