import type { Configuration, Limits } from '../../shared/config/model.ts'
import { nextHost } from '../../shared/mail/next-host.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import { poolDefaults, type SessionLimits } from '../../shared/smtp-client/pool.ts'

/** What connections are counted by (SMTPD_CONF section 10.2). */
export type Counted = 'host' | 'route' | 'source' | 'connector' | 'relay' | 'domain'

export const countedBy: readonly Counted[] = ['host', 'route', 'source', 'connector', 'relay', 'domain']

/** `mta limit` for one destination. What is not written does not limit. */
export interface RelayLimits {
  readonly family?: 4 | 6
  readonly maxConnections: Readonly<Partial<Record<Counted, number>>>
  readonly connectDelayMs: Readonly<Partial<Record<Counted, number>>>
  /** Between the end of a session and the next one on the same route. */
  readonly reconnectDelayMs: number
  readonly session: SessionLimits
}

/** `mta limit`, and above it `mta limit for domain` of this destination: the recipient's domain, or the smarthost. */
export function relayLimits({ mta, mtaFamily, mtaDomains }: Limits, destination: string): RelayLimits {
  const own = mtaDomains.get(destination)
  const family = own?.family ?? mtaFamily
  const written = (name: string): number | undefined => own?.limits.get(name) ?? mta.get(name)
  const writtenMs = (name: string): number | undefined => {
    const seconds = written(name)
    return seconds === undefined ? undefined : seconds * 1000
  }
  return {
    ...(family === undefined ? {} : { family }),
    maxConnections: byCounted((counted) => written(`max-conn-per-${counted}`)),
    connectDelayMs: byCounted((counted) => writtenMs(`conn-delay-${counted}`)),
    reconnectDelayMs: writtenMs('reconn-delay-route') ?? 0,
    session: {
      maxMessages: written('session-mail-max') ?? poolDefaults.maxMessages,
      idleMs: writtenMs('session-keepalive') ?? poolDefaults.idleMs,
      pauseMs: writtenMs('session-transaction-delay') ?? 0,
      maxFailures: written('max-failures-per-session') ?? poolDefaults.maxFailures,
    },
  }
}

/** What `for domain` is compared with: the next domain, or the host of a relay URL. */
export function limitedDomain({ destination }: StageMessage): string {
  return nextHost(destination ?? '')
}

/** Limits of the configuration by destination, worked out once each. */
export class KnownLimits {
  #limits: Configuration['limits'] | undefined
  readonly #known = new Map<string, RelayLimits>()

  of({ limits }: Configuration, destination: string): RelayLimits {
    if (limits !== this.#limits) this.#known.clear()
    this.#limits = limits
    // All but those of `for domain` are the same.
    const name = limits.mtaDomains.has(destination) ? destination : ''
    const known = this.#known.get(name) ?? relayLimits(limits, destination)
    this.#known.set(name, known)
    return known
  }
}

function byCounted(value: (counted: Counted) => number | undefined): Partial<Record<Counted, number>> {
  return Object.fromEntries(
    countedBy.map((counted) => [counted, value(counted)] as const).filter(([, one]) => one !== undefined),
  )
}
