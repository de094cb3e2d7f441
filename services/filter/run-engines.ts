import { LateError, withinTime } from '../../shared/deadline.ts'
import type { FilterTally } from '../../shared/filter-tally/tally.ts'
import type { Logger } from '../../shared/log.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { Span } from '../../shared/tracing/span.ts'
import { ThreadLimitError } from '../../shared/workers/worker-pool.ts'
import type { Engine, EngineResult, ScanMessage } from './engine.ts'

export interface EngineSettings {
  readonly engine: Engine
  /** What it looks for: who sent it, whether it is wanted, or whether it is dangerous. Trusted mail is not asked the second. */
  readonly role: 'authentication' | 'spam' | 'danger'
  /** Its score counts so many times; 0: it is asked for what else it finds. */
  readonly weight: number
  readonly timeoutMs: number
  /** When it fails: the message waits, or goes on without it. */
  readonly onFailure: 'defer' | 'proceed'
  /** A policy names it for this message: it looks at it even if it usually would not. */
  readonly isAsked?: true
}

export interface EngineRun {
  readonly settings: EngineSettings
  readonly result: EngineResult
}

/** An engine that must not be left out has failed: the message is tried again later. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure'
  /** It was ended for the time or memory that this message takes. */
  readonly isCrash: boolean

  constructor(engine: string, { status, reason = status }: EngineResult) {
    super(`engine ${engine}: ${reason}`)
    this.isCrash = status === 'crashed'
  }
}

export interface RunParts {
  readonly signal: AbortSignal
  /** Each engine is told below it; absent: the message is not traced. */
  readonly span?: Span | undefined
  readonly log: Logger
  readonly metrics: { readonly engineSeconds: Pick<Metrics['engineSeconds'], 'observe'> }
  /** Absent: nobody counts. */
  readonly tally?: Pick<FilterTally, 'answered'> | undefined
  /** Why an engine's last message went without it, by its name. */
  readonly troubles?: Map<string, string>
}

/**
 * Asks all engines that apply, at the same time. One that throws is `failed`, one that takes too long is
 * `timeout`, and one whose thread had to be ended is `crashed`.
 * @throws EngineFailure when one of them may not be left out.
 */
export async function runEngines(
  all: readonly EngineSettings[],
  message: ScanMessage,
  parts: RunParts,
): Promise<readonly EngineRun[]> {
  const applying = all.filter(({ engine, isAsked }) => isAsked === true || engine.applies(message.envelope))
  const runs = await Promise.all(
    applying.map(async (settings) => ({ settings, result: await runOne(settings, message, parts) })),
  )
  const missing = runs.find(({ settings, result }) => hasFailed(result) && settings.onFailure === 'defer')
  if (missing !== undefined) throw new EngineFailure(missing.settings.engine.name, missing.result)
  return runs
}

type Missing = Exclude<EngineResult['status'], 'ok' | 'unable'>

/** What another attempt may mend. */
function hasFailed({ status }: EngineResult): boolean {
  return status === 'failed' || status === 'timeout' || status === 'crashed'
}

async function runOne(settings: EngineSettings, message: ScanMessage, parts: RunParts): Promise<EngineResult> {
  const { name } = settings.engine
  const span = parts.span?.child(`engine ${name}`, { attributes: { 'sluice.engine': name } })
  const result = await scanInTime(settings, message, parts)
  const { status, tookMs, score } = result
  span?.set({ 'sluice.engine.status': status, 'sluice.engine.score': score })
  if (status !== 'ok') span?.fail(status)
  span?.end()
  parts.metrics.engineSeconds.observe({ engine: name, status }, tookMs / 1000)
  parts.tally?.answered(name, result)
  if (hasFailed(result)) parts.troubles?.set(name, result.reason ?? status)
  else parts.troubles?.delete(name)
  return result
}

async function scanInTime(
  { engine, timeoutMs }: EngineSettings,
  message: ScanMessage,
  { signal, log }: RunParts,
): Promise<EngineResult> {
  const startedAt = performance.now()
  try {
    signal.throwIfAborted()
    return await withinTime(signal, timeoutMs, 'no result', (limited) => engine.scan(message, limited))
  } catch (error) {
    const status = statusOf(error)
    log.warn({ id: message.envelope.id, engine: engine.name, status, err: error }, 'engine gave no result')
    return without(status, startedAt, (error as Error).message)
  }
}

function statusOf(error: unknown): Missing {
  if (error instanceof ThreadLimitError) return 'crashed'
  return error instanceof LateError ? 'timeout' : 'failed'
}

function without(status: Missing, startedAt: number, reason: string): EngineResult {
  return { status, reason, score: 0, symbols: [], tookMs: performance.now() - startedAt }
}
