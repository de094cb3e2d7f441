import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import { Changes } from './until.ts'

/** A span as it came: ids in hex, times in ns since the epoch. */
export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** Absent: the first of its trace. */
  readonly parentSpanId?: string
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly string[]
  readonly links: readonly string[]
  readonly isError: boolean
  /** Of the process that told it. */
  readonly resource: Readonly<Record<string, unknown>>
}

/** A collector of OpenTelemetry that takes OTLP over HTTP in JSON. */
export interface OtlpCollector {
  readonly port: number
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  readonly requests: readonly { readonly url: string; readonly headers: IncomingHttpHeaders }[]
  /** Resolves with what `probe` finds among the spans. */
  waitFor<T>(what: string, probe: (spans: readonly CollectedSpan[]) => T | undefined): Promise<T>
  stop(): Promise<void>
}

export async function startOtlpCollector(port = 0): Promise<OtlpCollector> {
  const spans: CollectedSpan[] = []
  const requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = []
  const changes = new Changes()
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      requests.push({ url: request.url ?? '', headers: request.headers })
      spans.push(...spansIn(JSON.parse(body) as ExportRequest))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      changes.changed()
    })
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    spans,
    requests,
    waitFor: (what, probe) =>
      changes.until(
        120_000,
        () => `${what}; there are: ${spans.map(({ name, traceId }) => `${name} ${traceId.slice(0, 6)}`).join(', ')}`,
        () => probe(spans),
      ),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** ExportTraceServiceRequest of OTLP 1.x, as JSON. */
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] }
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[]
  }[]
}

interface WireSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly KeyValue[]
  readonly events?: readonly { readonly name: string }[]
  readonly links?: readonly { readonly traceId: string }[]
  readonly status?: { readonly code?: number }
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

function spansIn({ resourceSpans }: ExportRequest): readonly CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => collected(span, valuesOf(resource.attributes)))),
  )
}

function collected(span: WireSpan, resource: CollectedSpan['resource']): CollectedSpan {
  const { name, traceId, spanId, parentSpanId, startTimeUnixNano, endTimeUnixNano } = span
  return {
    name,
    traceId,
    spanId,
    ...(parentSpanId === undefined || parentSpanId === '' ? {} : { parentSpanId }),
    start: BigInt(startTimeUnixNano),
    end: BigInt(endTimeUnixNano),
    attributes: valuesOf(span.attributes),
    events: (span.events ?? []).map((event) => event.name),
    links: (span.links ?? []).map((link) => link.traceId),
    isError: span.status?.code === 2,
    resource,
  }
}

function valuesOf(attributes: readonly KeyValue[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
