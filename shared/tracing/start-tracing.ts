import type { Configuration } from '../config/model.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { tracingSettings } from './settings.ts'
import type { Tracing } from './span.ts'

export interface StartTracingOptions {
  readonly configuration: Configuration
  readonly writer: string
  readonly metrics: Pick<Metrics, 'traceSpans'>
  readonly log: Logger
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Undefined: nobody wants traces, and nothing of OpenTelemetry is loaded. @throws StartError */
export async function startTracing(options: StartTracingOptions): Promise<Tracing | undefined> {
  const { configuration, writer, metrics, log, env } = options
  const settings = tracingSettings(configuration.pipeline.traces, env)
  if (settings === undefined) return undefined
  const { openTracing } = await import('./open-tracing.ts')
  return openTracing({
    settings,
    writer,
    log,
    count: (outcome, spans) => metrics.traceSpans.inc({ outcome }, spans),
  })
}
