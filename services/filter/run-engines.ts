import type { Logger } from '../../shared/log.ts'
import type { Metrics } from '../../shared/metrics.ts'
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
}

export interface EngineRun {
  readonly settings: EngineSettings
  readonly result: EngineResult
}

/** An engine that must not be left out has failed: the message is tried again later. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure'
}

export interface RunParts {
  readonly signal: AbortSignal
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'engineSeconds'>
  /** Why an engine's last message went without it, by its name. */
  readonly troubles?: Map<string, string>
}

/**
 * Asks all engines that apply, at the same time. One that throws is `failed`, one that takes too long is `timeout`.
 * @throws EngineFailure when one of them may not be left out.
 */
export async function runEngines(
  all: readonly EngineSettings[],
  message: ScanMessage,
  parts: RunParts,
): Promise<readonly EngineRun[]> {
  const applying = all.filter(({ engine }) => engine.applies(message.envelope))
  const runs = await Promise.all(
    applying.map(async (settings) => ({ settings, result: await runOne(settings, message, parts) })),
  )
  const missing = runs.find(({ settings, result }) => hasFailed(result) && settings.onFailure === 'defer')
  if (missing !== undefined)
    throw new EngineFailure(`engine ${missing.settings.engine.name}: ${missing.result.reason ?? missing.result.status}`)
  return runs
}

/** What another attempt may mend. */
function hasFailed({ status }: EngineResult): boolean {
  return status === 'failed' || status === 'timeout'
}

async function runOne(settings: EngineSettings, message: ScanMessage, parts: RunParts): Promise<EngineResult> {
  const result = await withinTime(settings, message, parts)
  const { status, tookMs } = result
  const { name } = settings.engine
  parts.metrics.engineSeconds.observe({ engine: name, status }, tookMs / 1000)
  if (hasFailed(result)) parts.troubles?.set(name, result.reason ?? status)
  else parts.troubles?.delete(name)
  return result
}

async function withinTime(
  { engine, timeoutMs }: EngineSettings,
  message: ScanMessage,
  { signal, log }: RunParts,
): Promise<EngineResult> {
  const startedAt = performance.now()
  const controller = new AbortController()
  const abort = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => {
      resolve('timeout')
      controller.abort(new Error(`${engine.name} took more than ${timeoutMs / 1000} s`))
    }, timeoutMs)
  })
  try {
    signal.throwIfAborted()
    const outcome = await Promise.race([engine.scan(message, controller.signal), late])
    if (outcome !== 'timeout') return outcome
    log.warn({ id: message.envelope.id, engine: engine.name, timeoutMs }, 'engine gave no result in time')
    return without('timeout', startedAt, `no result within ${timeoutMs / 1000} s`)
  } catch (error) {
    log.warn({ id: message.envelope.id, engine: engine.name, err: error }, 'engine failed')
    return without('failed', startedAt, (error as Error).message)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

function without(status: 'failed' | 'timeout', startedAt: number, reason: string): EngineResult {
  return { status, reason, score: 0, symbols: [], tookMs: performance.now() - startedAt }
}
