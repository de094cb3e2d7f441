import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

import type { CertificateView } from '../../shared/certificate-view.ts'
import { deadAfterMs, withoutReplaced } from '../../shared/heartbeat.ts'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import { withTimeLimit } from '../../shared/deadline.ts'
import type { RedisReport } from '../../shared/queue/check-redis.ts'
import { oneLook } from './one-look.ts'

export interface HostGaugesParts {
  heartbeats(): Promise<readonly Heartbeat[]>
  /** Free octets of the spool; rejects when it cannot be written to. */
  spoolFreeBytes(): Promise<number>
  /** What it last said of itself; absent: it does not answer. */
  redis(): RedisReport | undefined
  certificates(): Promise<readonly CertificateView[]>
  now(): number
}

const spoolLimitMs = 2_000

/**
 * Gauges of what no single process counts: who lives, what is connected, spool, certificates, memory of Redis. Read when metrics are asked
 * for; what cannot be told is absent.
 */
export function registerHostGauges(registry: Registry, parts: HostGaugesParts): void {
  const beats = oneLook(async () => withoutReplaced(await parts.heartbeats(), parts.now()))
  const living = async (): Promise<readonly Heartbeat[]> => (await beats()).filter(isLiving)
  const spool = oneLook(() =>
    withTimeLimit(spoolLimitMs, 'no answer of the spool', parts.spoolFreeBytes()).catch(() => undefined),
  )

  function isLiving({ at }: Heartbeat): boolean {
    return parts.now() - at <= deadAfterMs
  }

  /** Series with the same labels are added up. */
  function gauge(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => Promise<readonly Series[]>,
  ): void {
    const made = new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const series = await read()
        made.reset()
        // Without labels it would be 0.
        if (labelNames.length === 0) made.remove()
        for (const [labels, value] of series) made.inc(labels, value)
      },
    })
  }

  gauge('sluice_services', 'Processes that run a service', ['service', 'version'], async () =>
    (await living()).map(({ service, versions }) => [{ service, version: versions?.sluice ?? '' }, 1]),
  )
  gauge(
    'sluice_services_silent',
    'Processes with a service that ended without a word, in the last hour',
    ['service'],
    async () => (await beats()).map((beat) => [{ service: beat.service }, isLiving(beat) ? 0 : 1]),
  )
  gauge('sluice_troubles', 'Troubles that a service tells, see /health', ['service'], async () =>
    (await living()).map(({ service, troubles }) => [{ service }, troubles.length]),
  )
  gauge(
    'sluice_configuration_faulty',
    'Processes that keep their configuration, for the files have a fault',
    [],
    async () => (await living()).map(({ configuration }) => [{}, configuration?.fault === undefined ? 0 : 1]),
  )
  gauge('sluice_clients_connected', 'Clients that are connected, by where', ['listener'], async () =>
    (await living()).flatMap(({ connections = {} }) =>
      Object.entries(connections).map(([place, count]): Series => [{ listener: addressIn(place) }, count]),
    ),
  )
  gauge('sluice_workers', 'Messages that all processes work on at a time, at most', ['queue'], async () =>
    (await living()).flatMap(({ work }) => (work === undefined ? [] : [[{ queue: work.queue }, work.handlers]])),
  )
  gauge('sluice_workers_busy', 'Messages that all processes work on', ['queue'], async () =>
    (await living()).flatMap(({ work }) => (work === undefined ? [] : [[{ queue: work.queue }, work.busy]])),
  )
  gauge('sluice_spool_up', '1 when the spool can be written to', [], async () => [
    [{}, (await spool()) === undefined ? 0 : 1],
  ])
  gauge('sluice_spool_free_bytes', 'What the spool may grow by, on this host', [], async () => only(await spool()))
  gauge('sluice_redis_memory_used_bytes', 'Memory that Redis uses', [], async () => only(parts.redis()?.usedBytes))
  gauge('sluice_redis_memory_limit_bytes', 'Memory that Redis may use (maxmemory); absent: no limit', [], async () =>
    only(parts.redis()?.maxBytes || undefined),
  )
  gauge('sluice_certificate_expires_timestamp_seconds', 'When a certificate ends, by its pki', ['pki'], async () =>
    (await parts.certificates()).flatMap(({ pki, found }) =>
      found === undefined ? [] : [[{ pki }, found.untilAt / 1000]],
    ),
  )
}

type Series = readonly [labels: Readonly<Record<string, string>>, value: number]

function only(value: number | undefined): readonly Series[] {
  return value === undefined ? [] : [[{}, value]]
}

/** `smtp://127.0.0.1:2525 (STARTTLS)` is `127.0.0.1:2525`, as in events. */
function addressIn(place: string): string {
  return place.replace(/^\w+:\/\//, '').replace(/ .*$/, '')
}
