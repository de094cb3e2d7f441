import { createHash } from 'node:crypto'

import type { Clock } from '../../shared/clock.ts'
import type { Configuration, LaneSettings } from '../../shared/config/model.ts'
import type { Resolver } from '../../shared/resolver.ts'

/** As long as the resolver keeps it. */
const foundForMs = 300_000
const absentForMs = 60_000
/** Nobody knows: the message goes in the lane of its domain meanwhile, and waits for no second answer. */
const failedForMs = 15_000
const maxKnown = 50_000
const longestName = 200

/** The lane mail for a domain goes by, under the name that Redis, events and the dashboard know it by. */
export interface RelayLane {
  readonly name: string
  readonly settings: LaneSettings
}

/** The hosts that take mail for a domain, sorted: of two domains with the same ones, mail ends up at the same servers. */
export type Exchanges = readonly string[]

interface Known {
  readonly exchanges: Exchanges
  readonly untilAt: number
}

/** What this process knows of the MX of domains. */
export class MxGroups {
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined: it has to be looked up. */
  known(domain: string): Exchanges | undefined {
    const known = this.#known.get(domain)
    return known !== undefined && known.untilAt > this.#clock.now() ? known.exchanges : undefined
  }

  /** Empty when the domain has none, takes no mail, or nobody knows now. Never rejects. */
  async lookUp(domain: string, resolver: Pick<Resolver, 'mx'>): Promise<Exchanges> {
    if (domain.startsWith('[')) return []
    const answer = await resolver.mx(domain)
    const exchanges = answer.kind === 'found' ? exchangesOf(answer.records.map(({ exchange }) => exchange)) : []
    const forMs = { found: foundForMs, absent: absentForMs, failed: failedForMs }[answer.kind]
    if (this.#known.size >= maxKnown) this.#known.clear()
    this.#known.set(domain, { exchanges, untilAt: this.#clock.now() + forMs })
    return exchanges
  }
}

/**
 * A domain with a `lane` of its own goes by it. Else all domains whose MX fit a pattern of `lane mx` share a lane, and of the others those
 * that have the same MX, whatever their preference. Without MX the domain is its own mail server (RFC 5321 §5.1).
 */
export function relayLane({ pipeline }: Configuration, destination: string, exchanges: Exchanges): RelayLane {
  const { lanes } = pipeline
  const own = lanes.domains.get(destination)
  if (own !== undefined) return { name: destination, settings: { ...lanes.default, ...own } }
  if (exchanges.length === 0) return { name: destination, settings: lanes.default }
  for (const [pattern, settings] of lanes.mx) {
    if (exchanges.every((name) => fits(name, pattern)))
      return { name: pattern, settings: { ...lanes.default, ...settings } }
  }
  return { name: nameOf(exchanges), settings: lanes.default }
}

/** `.`, and what some publish in its place, names nobody (RFC 7505). */
function exchangesOf(names: readonly string[]): Exchanges {
  const hosts = names.map((name) => name.replace(/\.$/, '').toLowerCase())
  return [...new Set(hosts)].filter((name) => name !== '' && name !== 'localhost').toSorted()
}

function fits(name: string, pattern: string): boolean {
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern
}

/** A very long list is cut; a digest tells it from others. */
function nameOf(exchanges: Exchanges): string {
  const name = exchanges.join(',')
  return name.length <= longestName ? name : `${name.slice(0, longestName)}...${digestOf(name)}`
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
