import type { Clock } from '../../shared/clock.ts'
import type { Configuration } from '../../shared/config/model.ts'
import type { Resolver } from '../../shared/resolver.ts'
import { createAuthenticationEngine } from './authentication/engine.ts'
import { createClamdEngine } from './clamd/engine.ts'
import { createGtubeEngine } from './gtube.ts'
import type { EngineSettings } from './run-engines.ts'

/** Engines get this much of the queue's time, so that what they found so far can still be used. */
const engineShare = 0.8

export interface EngineSurroundings {
  readonly resolver: Resolver
  readonly clock: Clock
  /** Of a pool; one for each core when left out. */
  readonly threads?: number
}

/** The engines pipeline.conf asks for. */
export function openEngines(configuration: Configuration, around: EngineSurroundings): readonly EngineSettings[] {
  const { queues, virus } = configuration.pipeline
  const queue = queues.get('filter')
  const timeoutMs = (queue?.timeoutMs ?? 60_000) * engineShare
  const authentication = createAuthenticationEngine({
    ...around,
    hostname: configuration.hostname,
    dnsMs: Math.min(20_000, timeoutMs / 2),
  })
  return [
    { engine: authentication, role: 'authentication', weight: 1, timeoutMs, onFailure: queue?.onFailure ?? 'defer' },
    { engine: createGtubeEngine(), role: 'spam', weight: 1, timeoutMs, onFailure: 'proceed' },
    ...(virus === undefined
      ? []
      : [
          {
            engine: createClamdEngine(virus),
            role: 'danger' as const,
            weight: 1,
            timeoutMs: Math.min(virus.timeoutMs, timeoutMs),
            onFailure: virus.onFailure,
          },
        ]),
  ]
}
