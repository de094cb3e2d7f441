import { isDeepStrictEqual } from 'node:util'

import { fileSpan } from './diagnostic.ts'
import type { Diagnostic } from './diagnostic.ts'
import type { LoadedConfiguration } from './load.ts'
import type { Configuration, PipelineSettings } from './model.ts'

/** Statements of pipeline.conf that a process acts on once, when it starts. */
const atStart = ['redis', 'spool', 'dashboard', 'metrics'] as const

/**
 * The new configuration with what cannot change while we run as it is in force, so that what is printed is true; a warning for
 * each statement that has to wait.
 */
export function keepUntilNextStart(loaded: LoadedConfiguration, running: Configuration): LoadedConfiguration {
  const { configuration, statedAt } = loaded
  const waiting: Diagnostic[] = atStart
    .filter((name) => !isDeepStrictEqual(configuration.pipeline[name], running.pipeline[name]))
    .map((name) => waits(`"${name}"`, statedAt.get(name) ?? fileSpan('pipeline.conf')))
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

function withRunning(next: PipelineSettings, running: PipelineSettings): PipelineSettings {
  const { redis: _redis, spool: _spool, metrics: _metrics, ...changeable } = next
  const { redis, spool, dashboard, metrics } = running
  return Object.freeze({
    ...changeable,
    dashboard,
    ...(redis === undefined ? {} : { redis }),
    ...(spool === undefined ? {} : { spool }),
    ...(metrics === undefined ? {} : { metrics }),
  })
}

function waits(what: string, span: Diagnostic['span']): Diagnostic {
  const message = `${what} takes effect at the next start: until then the one before stays in force`
  return { severity: 'warning', code: 'next-start', message, span }
}
