import type { TraceSettings } from './model.ts'
import { finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { isNear } from './pipeline-webhook.ts'

/** What the way of a message took is told to a collector of OpenTelemetry. */
export const traceStatements: Readonly<Record<string, ParseStatement>> = { traces: parseTraces }

/** `traces [to "http://host:4318"] [sample N%] [with addresses]`, in this order. */
function parseTraces(draft: PipelineDraft): void {
  const { reader } = draft
  const { span } = reader.next()
  const url = reader.accept('to') ? urlOf(draft) : undefined
  const sample = reader.accept('sample') ? shareOf(draft) : undefined
  const withAddresses = reader.accept('with')
  if (withAddresses) reader.expect('addresses', 'behind "with"')
  else if (!reader.atEnd()) reader.unexpected('a setting of traces', ['to', 'sample', 'with'])
  const isClear = url?.protocol === 'http:' && !isNear(url.hostname)
  if (withAddresses && isClear)
    reader.fail('value', `addresses would go to ${url.hostname} in clear`, span, 'https, or without "with addresses"')
  const traces: TraceSettings = {
    ...(url === undefined ? {} : { url: url.href }),
    ...(sample === undefined ? {} : { sample }),
    withAddresses,
  }
  finish(draft, { traces })
}

function urlOf({ reader }: PipelineDraft): URL {
  const { text, span } = reader.string('the URL of the collector')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['https:', 'http:'].includes(url.protocol))
    return reader.fail('value', `"${text}" is not a URL of http`, span, '"http://collector:4318"')
  if (url.username !== '' || url.password !== '')
    return reader.fail('value', 'a URL holds no password here', span, 'set OTEL_EXPORTER_OTLP_HEADERS')
  if (url.search !== '' || url.hash !== '' || /\/v1\/traces\/?$/.test(url.pathname))
    return reader.fail('value', '/v1/traces is added to the URL', span, `"${url.origin}"`)
  return url
}

/** `10%`: 0 to 100, a fraction too. */
function shareOf({ reader }: PipelineDraft): number {
  const { text, span } = reader.next()
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1]
  if (percent === undefined || Number(percent) > 100)
    return reader.fail('value', `"${text}" is not a share of the traces`, span, '10%')
  return Number(percent) / 100
}
