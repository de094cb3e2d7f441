import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'

import { silentLog } from '../log.ts'
import { openTracing } from './open-tracing.ts'
import type { Tracing } from './span.ts'

/** Tracing whose spans stay in this process, in the order they ended; they are there once it is closed. */
export function recordedTracing(withAddresses = false): Tracing & { readonly spans: readonly ReadableSpan[] } {
  const spans: ReadableSpan[] = []
  const tracing = openTracing({
    settings: { withAddresses },
    writer: 'test',
    log: silentLog(),
    count: () => {},
    exporter: {
      export: (batch, done) => {
        spans.push(...batch)
        done({ code: 0 })
      },
      shutdown: () => Promise.resolve(),
    },
  })
  return { ...tracing, spans }
}
