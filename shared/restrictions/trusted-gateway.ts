import type { Condition, Configuration, Position, Restriction, Rule, Table } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import { TableError } from '../config/tables.ts'
import type { TableSet } from '../config/tables.ts'

/** A network that may do more than strangers, with the gateway of our container in it. */
export interface TrustedGateway {
  readonly at: Position
  readonly gateway: string
  readonly table: string
}

/** Each table once, where it is named first; one that cannot be read now is not judged. */
export async function findTrustedGateways(
  configuration: Configuration,
  tables: TableSet,
  gateways: readonly string[],
): Promise<readonly TrustedGateway[]> {
  const found = new Map<string, TrustedGateway>()
  for (const { at, table } of gateways.length === 0 ? [] : trustedNetworks(configuration)) {
    for (const gateway of gateways) {
      const key = `${table.name} ${gateway}`
      if (!found.has(key) && (await holds(tables, table, gateway))) found.set(key, { at, gateway, table: table.name })
    }
  }
  return [...found.values()]
}

/** For the log and for `check`. */
export function describeTrustedGateway({ gateway, table }: TrustedGateway): string {
  return `the network "${table}" is trusted here and has ${gateway} in it, the gateway of this container: where the engine forwards the port, every client comes from there`
}

export const trustedGatewayHint =
  "name the addresses of your hosts one by one, without the gateway; or give the container the host's network, or put a balancer with `proxy-v2` before it"

interface Trusted {
  readonly at: Position
  readonly table: Table
}

function trustedNetworks({ rules, actions, pipeline }: Configuration): readonly Trusted[] {
  return [
    ...rules.filter((rule) => relays(rule, actions)).flatMap(({ at, conditions }) => networksOf(conditions, at)),
    ...pipeline.restrictions.flatMap((one) => permittedBy(one)),
  ]
}

/** Only what leaves this host again is worth a stranger's trouble. */
function relays({ decision }: Rule, actions: Configuration['actions']): boolean {
  return decision.kind === 'action' && actions.get(decision.name)?.kind === 'relay'
}

function networksOf(conditions: readonly Condition[], at: Position): readonly Trusted[] {
  // Mail for our domains alone is everybody's to send.
  if (!conditions.some((one) => one.kind === 'for-any')) return []
  return conditions.flatMap((one) =>
    one.kind === 'from-src' && !one.not && !one.regex && one.table !== undefined ? [{ at, table: one.table }] : [],
  )
}

function permittedBy({ rule, at }: Restriction): readonly Trusted[] {
  if (rule.kind !== 'permit' || rule.when?.kind !== 'table' || rule.when.subject !== 'client') return []
  return [{ at, table: rule.when.table }]
}

async function holds(tables: TableSet, table: Table, address: string): Promise<boolean> {
  try {
    return await settle(tables, (settled) => settled.matchesAddress(table, address))
  } catch (error) {
    if (error instanceof TableError) return false
    throw error
  }
}
