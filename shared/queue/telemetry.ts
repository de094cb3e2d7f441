import { SpanKind, TelemetryAttributes } from 'bullmq'
import type { Telemetry } from 'bullmq'

import type { Span, Tracing } from '../tracing/span.ts'

type HookSpan = ReturnType<Telemetry<string>['tracer']['startSpan']>

/**
 * BullMQ's telemetry hook: a span for each job that carries a trace, from its taking until its result is in Redis. What else it tells (locks,
 * looks for stalled jobs) belongs to no message and is dropped. The context comes with the job, so nothing has to follow it through
 * asynchronous calls: that would make every promise of the process dearer.
 */
export class QueueTelemetry implements Telemetry<string | undefined> {
  readonly tracer: Telemetry<string | undefined>['tracer']
  readonly contextManager: Telemetry<string | undefined>['contextManager'] = {
    with: (_context, work) => work() as never,
    active: () => undefined,
    getMetadata: () => '',
    fromMetadata: (_active, metadata) => metadata,
  }
  readonly #spans = new Map<string, Span>()

  constructor(tracing: Tracing, queue: string) {
    this.tracer = {
      startSpan: (name, options, traceParent) => {
        const span =
          options?.kind === SpanKind.CONSUMER
            ? tracing.join(traceParent, name, { kind: 'consumer', attributes: queueAttributes(queue) })
            : undefined
        return span === undefined ? nothing : this.#forBullMq(span)
      },
    }
  }

  /** While the job is in work. */
  spanOf(jobId: string): Span | undefined {
    return this.#spans.get(jobId)
  }

  #forBullMq(span: Span): HookSpan {
    let jobId: string | undefined
    return {
      ...nothing,
      setAttributes: ({ [TelemetryAttributes.JobId]: id }) => {
        if (typeof id !== 'string') return
        jobId = id
        this.#spans.set(id, span)
        span.set({ 'messaging.message.id': id })
      },
      // A refusal of Redis to take the result: the job runs again.
      recordException: () => span.fail('queue'),
      end: () => {
        if (jobId !== undefined) this.#spans.delete(jobId)
        span.end()
      },
    }
  }
}

export function queueAttributes(queue: string): Readonly<Record<string, string>> {
  return {
    'messaging.system': 'bullmq',
    'messaging.destination.name': queue,
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
  }
}

const nothing: HookSpan = {
  setSpanOnContext: (context: unknown) => context,
  setAttribute: () => {},
  setAttributes: () => {},
  addEvent: () => {},
  recordException: () => {},
  end: () => {},
}
