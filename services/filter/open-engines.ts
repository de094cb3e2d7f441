import type { Clock } from '../../shared/clock.ts'
import type { Configuration, SpamEngine } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { FilterTally } from '../../shared/filter-tally/tally.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Resolver } from '../../shared/resolver.ts'
import { createAuthenticationEngine } from './authentication/engine.ts'
import { createBannedEngine } from './banned/engine.ts'
import { createClassifierEngine } from './classifier/engine.ts'
import { createClamdEngine } from './clamd/engine.ts'
import { createGtubeEngine } from './gtube.ts'
import { createListsEngine } from './lists/engine.ts'
import { createRspamdEngine } from './rspamd/engine.ts'
import type { EngineSettings } from './run-engines.ts'
import { createSpamAssassinEngine } from './spamassassin/engine.ts'
import { createSpamScannerEngine } from './spamscanner/engine.ts'

/** Engines get this much of the queue's time, so that what they found so far can still be used. */
const engineShare = 0.8

export interface EngineSurroundings {
  readonly resolver: Resolver
  readonly clock: Clock
  readonly tables: TableSet
  readonly dataFolder: string
  readonly filterTally?: Pick<FilterTally, 'answered'>
  /** Of a pool; one for each core when left out. */
  readonly threads?: number
}

/** All that engines are opened by: thresholds and policies are no part of it. Two that are equal need not be opened twice. */
export function engineSettingsOf({ hostname, pipeline }: Configuration) {
  const { queues, spam, virus, banned, authentication } = pipeline
  const { timeoutMs = 60_000, onFailure = 'defer' } = queues.get('filter') ?? {}
  const { engines, lists } = spam
  return { hostname, timeoutMs, onFailure, spam: { engines, lists }, virus, banned, authentication } as const
}

/** The engines pipeline.conf asks for. */
export function openEngines(configuration: Configuration, around: EngineSurroundings): readonly EngineSettings[] {
  const { hostname, spam, virus, banned, ...part } = engineSettingsOf(configuration)
  const timeoutMs = part.timeoutMs * engineShare
  const { minKeyBits, trustedSealers } = part.authentication
  const authentication = createAuthenticationEngine({
    ...around,
    hostname,
    dnsMs: Math.min(20_000, timeoutMs / 2),
    minKeyBits,
    ...(trustedSealers === undefined
      ? {}
      : {
          trustsSealer: async (domain: string) =>
            settle(around.tables, (tables) => tables.matchesDomain(trustedSealers, domain)),
        }),
  })
  const builtin = spam.engines.find((engine) => engine.kind === 'builtin')
  return [
    {
      engine: authentication,
      role: 'authentication',
      weight: builtin?.weight ?? 0,
      timeoutMs,
      onFailure: part.onFailure,
    },
    ...spam.engines.map((engine) => openSpamEngine(engine, timeoutMs, around)),
    ...(builtin?.classifier === true
      ? [
          {
            engine: createClassifierEngine({ ...around, now: () => around.clock.now() }),
            role: 'spam' as const,
            weight: builtin.weight,
            timeoutMs,
            onFailure: 'proceed' as const,
          },
        ]
      : []),
    ...(spam.lists.length === 0
      ? []
      : [
          {
            engine: createListsEngine({ ...around, lists: spam.lists }),
            role: 'spam' as const,
            weight: 1,
            timeoutMs,
            onFailure: 'proceed' as const,
          },
        ]),
    ...(banned === undefined || banned.policies.length === 0
      ? []
      : [
          {
            engine: createBannedEngine(banned, around.tables),
            role: 'danger' as const,
            weight: 1,
            timeoutMs,
            onFailure: 'defer' as const,
          },
        ]),
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

function openSpamEngine(settings: SpamEngine, mostMs: number, around: EngineSurroundings): EngineSettings {
  const { weight } = settings
  switch (settings.kind) {
    case 'builtin':
      return { engine: createGtubeEngine(), role: 'spam', weight, timeoutMs: mostMs, onFailure: 'proceed' }
    case 'spamscanner':
      return {
        engine: createSpamScannerEngine(around.threads === undefined ? {} : { threads: around.threads }),
        role: 'spam',
        weight,
        timeoutMs: mostMs,
        onFailure: 'proceed',
      }
    case 'rspamd':
    case 'spamassassin': {
      const engine = settings.kind === 'rspamd' ? createRspamdEngine(settings) : createSpamAssassinEngine(settings)
      const { onFailure } = settings
      return { engine, role: 'spam', weight, timeoutMs: Math.min(settings.timeoutMs, mostMs), onFailure }
    }
  }
}
