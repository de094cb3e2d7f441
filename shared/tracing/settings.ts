import type { TraceSettings } from '../config/model.ts'
import { StartError } from '../start/start-error.ts'

/** Where traces go, and which. What is absent is left to the SDK, which reads the standard variables itself. */
export interface TracingSettings {
  /** Of the collector, with `/v1/traces`. */
  readonly url?: string
  /** Share of the traces that are recorded; absent: OTEL_TRACES_SAMPLER. */
  readonly sample?: number
  readonly withAddresses: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
]
const protocols = ['http/json', 'http/protobuf']

/**
 * `traces` of pipeline.conf, or the standard variables of OpenTelemetry: what the statement says goes before what they say. Undefined:
 * tracing is off, for nobody names a collector, or OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER says so.
 * @throws StartError for a value that would not be carried out
 */
export function tracingSettings(traces: TraceSettings | undefined, env: Environment): TracingSettings | undefined {
  const named = isSet(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) || isSet(env['OTEL_EXPORTER_OTLP_ENDPOINT'])
  if (traces === undefined && !named) return undefined
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return undefined
  const exporter = oneOf(env, 'OTEL_TRACES_EXPORTER', ['otlp', 'none'])
  if (exporter === 'none') return undefined
  if (traces?.url === undefined && !named)
    throw new StartError(
      '"traces" names no collector: write traces to "http://...", or set OTEL_EXPORTER_OTLP_ENDPOINT',
    )
  const protocol = isSet(env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'])
    ? 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
    : 'OTEL_EXPORTER_OTLP_PROTOCOL'
  oneOf(env, protocol, protocols)
  if (traces?.sample === undefined) checkSampler(env)
  return {
    ...(traces?.url === undefined ? {} : { url: `${traces.url.replace(/\/$/, '')}/v1/traces` }),
    ...(traces?.sample === undefined ? {} : { sample: traces.sample }),
    withAddresses: traces?.withAddresses ?? false,
  }
}

function checkSampler(env: Environment): void {
  const sampler = oneOf(env, 'OTEL_TRACES_SAMPLER', samplers)
  const share = env['OTEL_TRACES_SAMPLER_ARG']
  if (!sampler?.endsWith('traceidratio') || !isSet(share)) return
  const ratio = Number(share)
  if (!(ratio >= 0 && ratio <= 1)) throw new StartError(`OTEL_TRACES_SAMPLER_ARG is "${share}", and has to be 0 to 1`)
}

function oneOf(env: Environment, name: string, known: readonly string[]): string | undefined {
  const value = env[name]?.trim()
  if (!isSet(value)) return undefined
  if (known.includes(value)) return value
  throw new StartError(`${name} is "${value}", and this version knows ${known.join(', ')}`)
}

/** An empty variable counts as none, as OpenTelemetry has it. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== ''
}
