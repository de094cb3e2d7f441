/** Of OpenTelemetry's semantic conventions where they have one, else under `sluice.`; `undefined` is left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface SpanOptions {
  readonly kind?: 'internal' | 'server' | 'client' | 'consumer'
  readonly attributes?: SpanAttributes
  /** Epoch ms; now when left out. */
  readonly startedAt?: number
  /** Traces that have to do with it: their `traceParent`. */
  readonly links?: readonly (string | undefined)[]
}

/** A piece of the work on a message that is recorded for the collector. Where tracing is off, or the trace is not sampled, there is none. */
export interface Span {
  /** What lets other processes go on with the trace: `00-<trace>-<span>-01` (W3C Trace Context §3.2). */
  readonly traceParent: string
  child(name: string, options?: SpanOptions): Span
  set(attributes: SpanAttributes): void
  /** The same for what names people: kept only `with addresses`. */
  setPersonal(attributes: SpanAttributes): void
  event(name: string, attributes?: SpanAttributes): void
  /** It did not come to a good end; `type` has few values: a reply code, a code of the system, the name of an error. */
  fail(type: string): void
  /** Once; what comes later is dropped. */
  end(): void
}

/** Begins traces and goes on with them. Nothing here waits, and nothing throws. */
export interface Tracing {
  /** The first span of a new trace; undefined: it is not sampled. */
  begin(name: string, options?: SpanOptions): Span | undefined
  /** A span of the trace that another process, or this one before, began; undefined without one that is sampled. */
  join(traceParent: string | undefined, name: string, options?: SpanOptions): Span | undefined
  /** Sends what is left, for two seconds at most. */
  close(): Promise<void>
}

/** Does the work in a span below `parent`, which ends with it and fails with it. Without a parent only the work is done. */
export async function inSpan<T>(
  parent: Span | undefined,
  name: string,
  options: SpanOptions,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (parent === undefined) return work(undefined)
  const span = parent.child(name, options)
  try {
    return await work(span)
  } catch (error) {
    span.fail(errorType(error))
    throw error
  } finally {
    span.end()
  }
}

/** For `error.type`: `ECONNREFUSED` of what the system says, the code of a reply, else the class of the error. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code, reply } = error as { readonly code?: unknown; readonly reply?: { readonly code?: unknown } }
  if (typeof code === 'string') return code
  if (error.cause instanceof Error) return errorType(error.cause)
  return typeof reply?.code === 'number' ? String(reply.code) : error.name
}

const traceParentForm = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** The ids of a recorded span; undefined for what is none, or is not sampled. */
export function parseTraceParent(
  text: string | undefined,
): { readonly traceId: string; readonly spanId: string } | undefined {
  const [, traceId, spanId, flags] = traceParentForm.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return (Number.parseInt(flags ?? '', 16) & 1) === 1 ? { traceId, spanId } : undefined
}

/** As it is looked for in the collector. */
export function traceIdOf(traceParent: string | undefined): string | undefined {
  return parseTraceParent(traceParent)?.traceId
}
