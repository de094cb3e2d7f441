import type { Configuration, Listener, Table } from '../../shared/config/model.ts'
import { chosenSettings, generalSettings } from '../../shared/config/session-rules.ts'
import type { SessionSettings } from '../../shared/config/session-rules.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Logger } from '../../shared/log.ts'
import { ConnectionCounter } from './connection-counter.ts'
import type { ConnectionLimits } from './connection-counter.ts'
import type { SessionLimits } from './limits.ts'

/**
 * Counts the connections of a process over all its configurations. A listener with `limit connections` of its own counts its
 * clients by itself; all connections count into the total.
 */
export class ConnectionPlaces {
  readonly #limits: SessionLimits
  readonly #tables: Pick<TableSet, 'matchesAddress'>
  readonly #log: Logger
  readonly #total: ConnectionCounter
  readonly #clients: ConnectionCounter
  readonly #own = new Map<string, ConnectionCounter>()

  constructor(limits: SessionLimits, tables: Pick<TableSet, 'matchesAddress'>, log: Logger) {
    this.#limits = limits
    this.#tables = tables
    this.#log = log
    this.#total = new ConnectionCounter({ total: limits.connections, perClient: Infinity })
    this.#clients = new ConnectionCounter({ total: Infinity, perClient: limits.connectionsPerAddress })
  }

  countersOf(listener: Listener, configuration: Configuration): readonly ConnectionCounter[] {
    if (!hasOwn(listener, configuration)) return [this.#clients, this.#total]
    const key = keyOf(listener)
    const own = this.#own.get(key) ?? new ConnectionCounter({ total: Infinity, perClient: Infinity })
    this.#own.set(key, own)
    return [own, this.#total]
  }

  /** From now on the limits of this configuration hold. */
  follow(configuration: Configuration): void {
    const { sessions } = configuration.pipeline
    const general = generalSettings(sessions)
    this.#total.limits = { total: general.connections ?? this.#limits.connections, perClient: Infinity }
    this.#clients.limits = this.#limitsOf({ ...general, connections: Infinity })
    for (const listener of configuration.listeners) {
      const own = this.#own.get(keyOf(listener))
      if (own === undefined || !hasOwn(listener, configuration)) continue
      own.limits = this.#limitsOf({ ...general, connections: Infinity, ...chosenSettings(sessions, listener) })
    }
  }

  #limitsOf(settings: SessionSettings): ConnectionLimits {
    const { connections, connectionsPerClient, connectionsPerNetwork, connectionsExcept: except } = settings
    return {
      total: connections ?? Infinity,
      perClient: connectionsPerClient ?? this.#limits.connectionsPerAddress,
      ...(connectionsPerNetwork === undefined ? {} : { perNetwork: connectionsPerNetwork }),
      ...(except === undefined ? {} : { isExempt: (address) => this.#isIn(except, address) }),
    }
  }

  /** A table that cannot be read excepts nobody: the door must not fall with it. */
  #isIn(table: Table, address: string): boolean {
    try {
      return this.#tables.matchesAddress(table, address)
    } catch (error) {
      this.#log.error({ err: error, table: table.name }, 'the exceptions cannot be read')
      return false
    }
  }
}

function hasOwn(listener: Listener, { pipeline }: Configuration): boolean {
  return chosenSettings(pipeline.sessions, listener).connections !== undefined
}

function keyOf({ on, port, family, tag = '' }: Listener): string {
  return JSON.stringify([on, port, family, tag])
}
