import { isDeepStrictEqual } from 'node:util'

import { fileSpan } from './diagnostic.ts'
import type { Diagnostic } from './diagnostic.ts'
import type { LoadedConfiguration } from './load.ts'
import type { Configuration, PipelineSettings } from './model.ts'

/** Statements of pipeline.conf that a process acts on once, when it starts. */
const atStart = ['redis', 'spool', 'dashboard', 'metrics', 'traces', 'events'] as const

/**
 * The new configuration with what cannot change while we run as it is in force, so that what is printed is true; a warning for
 * each statement that has to wait.
 */
export function keepUntilNextStart(loaded: LoadedConfiguration, running: Configuration): LoadedConfiguration {
  const { configuration, statedAt } = loaded
  const waiting: Diagnostic[] = atStart
    .filter((name) => !isSameAtStart(name, configuration.pipeline, running.pipeline))
    .map((name) =>
      waits(name === 'events' ? '"events ... store"' : `"${name}"`, statedAt.get(name) ?? fileSpan('pipeline.conf')),
    )
  const { subAddressDelimiter } = running
  if (configuration.subAddressDelimiter !== subAddressDelimiter)
    waiting.push(waits('the sub-address delimiter', fileSpan(configuration.rules[0]?.at.file ?? 'smtpd.conf')))
  const { atRest } = running
  if (
    !isDeepStrictEqual(configuration.atRest, atRest) &&
    isDeepStrictEqual(configuration.pipeline.spool, running.pipeline.spool)
  )
    waiting.push(
      waits('"queue compression" or "queue encryption"', fileSpan(configuration.rules[0]?.at.file ?? 'smtpd.conf')),
    )
  if (waiting.length === 0) return loaded
  return {
    ...loaded,
    configuration: Object.freeze({
      ...configuration,
      subAddressDelimiter,
      atRest,
      pipeline: withRunning(configuration.pipeline, running.pipeline),
    }),
    warnings: [...loaded.warnings, ...waiting],
  }
}

/**
 * Who may sign in is asked anew each time: only where the dashboard listens, and whether it asks at all, is settled at start; of events
 * their database.
 */
function isSameAtStart(name: (typeof atStart)[number], next: PipelineSettings, running: PipelineSettings): boolean {
  if (name === 'events') return isDeepStrictEqual(next.events.store, running.events.store)
  if (name !== 'dashboard') return isDeepStrictEqual(next[name], running[name])
  const settled = ({ dashboard: { host, port, operators } }: PipelineSettings) => [host, port, operators === undefined]
  return isDeepStrictEqual(settled(next), settled(running))
}

function withRunning(next: PipelineSettings, running: PipelineSettings): PipelineSettings {
  const { redis: _redis, spool: _spool, metrics: _metrics, traces: _traces, ...changeable } = next
  const { redis, spool, metrics, traces } = running
  const { dashboard } = isSameAtStart('dashboard', next, running) ? next : running
  return Object.freeze({
    ...changeable,
    dashboard,
    events: { ...next.events, store: running.events.store },
    ...(redis === undefined ? {} : { redis }),
    ...(spool === undefined ? {} : { spool }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(traces === undefined ? {} : { traces }),
  })
}

function waits(what: string, span: Diagnostic['span']): Diagnostic {
  const message = `${what} takes effect at the next start: until then the one before stays in force`
  return { severity: 'warning', code: 'next-start', message, span }
}
