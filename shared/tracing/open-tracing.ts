import { hostname } from 'node:os'

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api'
import type { Attributes, Context, Link, Span as RecordedSpan, Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base'
import type { SpanExporter } from '@opentelemetry/sdk-trace-base'

import type { Logger } from '../log.ts'
import type { TracingSettings } from './settings.ts'
import { SpanQueue } from './span-queue.ts'
import type { SpanQueueParts } from './span-queue.ts'
import { parseTraceParent } from './span.ts'
import type { Span, SpanAttributes, SpanOptions, Tracing } from './span.ts'

export interface TracingParts {
  readonly settings: TracingSettings
  /** Of this process: `filter`. */
  readonly writer: string
  readonly log: Logger
  readonly count: SpanQueueParts['count']
  /** In place of the one that posts to the collector (OTLP over HTTP). */
  readonly exporter?: SpanExporter
}

/**
 * Brings the SDK of OpenTelemetry with it: import this file only where traces are wanted. Nothing of the SDK is made global, and no header
 * of a message is read: a trace begins here.
 */
export function openTracing({ settings, writer, log, count, exporter }: TracingParts): Tracing {
  const { url, sample, withAddresses } = settings
  const queue = new SpanQueue({
    exporter: exporter ?? new OTLPTraceExporter(url === undefined ? {} : { url }),
    log,
    count,
  })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'sluice',
      'service.instance.id': `${hostname()}:${writer}:${process.pid}`,
      'host.name': hostname(),
      'process.pid': process.pid,
    }).merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [queue],
    ...(sample === undefined
      ? {}
      : { sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sample) }) }),
  })
  const tracer = provider.getTracer('sluice')
  const start = (name: string, options: SpanOptions, context: Context): Span | undefined => {
    const span = startSpan(tracer, name, options, context)
    return span.isRecording() ? new SdkSpan(span, tracer, withAddresses) : undefined
  }
  return {
    begin: (name, options = {}) => start(name, options, ROOT_CONTEXT),
    join(traceParent, name, options = {}) {
      const parent = parseTraceParent(traceParent)
      if (parent === undefined) return undefined
      const context = { ...parent, traceFlags: TraceFlags.SAMPLED, isRemote: true }
      return start(name, options, trace.setSpanContext(ROOT_CONTEXT, context))
    },
    close: () => provider.shutdown(),
  }
}

class SdkSpan implements Span {
  readonly traceParent: string
  readonly #span: RecordedSpan
  readonly #tracer: Tracer
  readonly #withAddresses: boolean

  constructor(span: RecordedSpan, tracer: Tracer, withAddresses: boolean) {
    const { traceId, spanId } = span.spanContext()
    this.traceParent = `00-${traceId}-${spanId}-01`
    this.#span = span
    this.#tracer = tracer
    this.#withAddresses = withAddresses
  }

  child(name: string, options: SpanOptions = {}): Span {
    const span = startSpan(this.#tracer, name, options, trace.setSpan(ROOT_CONTEXT, this.#span))
    return new SdkSpan(span, this.#tracer, this.#withAddresses)
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(withoutAbsent(attributes))
  }

  setPersonal(attributes: SpanAttributes): void {
    if (this.#withAddresses) this.set(attributes)
  }

  event(name: string, attributes: SpanAttributes = {}): void {
    this.#span.addEvent(name, withoutAbsent(attributes))
  }

  fail(type: string): void {
    this.#span.setAttribute('error.type', type)
    this.#span.setStatus({ code: SpanStatusCode.ERROR })
  }

  end(): void {
    if (this.#span.isRecording()) this.#span.end()
  }
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const

function startSpan(tracer: Tracer, name: string, options: SpanOptions, context: Context): RecordedSpan {
  const { kind = 'internal', attributes = {}, startedAt, links = [] } = options
  return tracer.startSpan(
    name,
    {
      kind: kinds[kind],
      attributes: withoutAbsent(attributes),
      links: links.flatMap(linkTo),
      ...(startedAt === undefined ? {} : { startTime: startedAt }),
    },
    context,
  )
}

function linkTo(traceParent: string | undefined): readonly Link[] {
  const ids = parseTraceParent(traceParent)
  return ids === undefined ? [] : [{ context: { ...ids, traceFlags: TraceFlags.SAMPLED } }]
}

function withoutAbsent(attributes: SpanAttributes): Attributes {
  const kept: Attributes = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue
    kept[name] = typeof value === 'object' ? [...value] : value
  }
  return kept
}
