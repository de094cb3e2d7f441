import { workerFile } from '../../../shared/workers/start-worker.ts'
import { createWorkerPool, ownCopy } from '../../../shared/workers/worker-pool.ts'
import type { WorkerPool } from '../../../shared/workers/worker-pool.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Engine, EngineResult, ScanMessage, ScanSymbol } from '../engine.ts'
import type { CheckResult, CheckTask, FoundFile } from './check.ts'

/** Longer messages are not judged: its checks are made for letters. */
const mostBytes = 1_048_576
const usualWallMs = 2_000
const heapMb = 512
/** It keeps something of every message. */
const mostTasks = 5_000

/** For each of its points: they are met in one letter of fifteen. */
const pointScore = 0.3
/** It never makes spam of a message by itself. */
const mostScore = 3
const fewestScore = -0.5
const testScore = 1_000
const fileScores: Readonly<Record<FoundFile['kind'], number>> = {
  executable: 2,
  script: 2,
  macro: 1,
  'pdf script': 0.5,
}

export interface SpamScannerOptions {
  /** One for each core when left out. */
  readonly threads?: number
  /** For a message, from when a thread begins it. */
  readonly wallMs?: number
  /** URL of the module that checks; a test has one of its own. */
  readonly file?: string
}

/**
 * The checks of spamscanner that are sound (decision 0012), in threads without network, files or environment. A message that takes too much
 * time or memory there costs the thread, not the service.
 */
export function createSpamScannerEngine({
  threads,
  wallMs = usualWallMs,
  file = workerFile('./check.ts', import.meta.url),
}: SpamScannerOptions = {}): Engine {
  const pool: WorkerPool<CheckTask, CheckResult> = createWorkerPool({
    file,
    wallMs,
    heapMb,
    mostTasks,
    environment: {},
    ...(threads === undefined ? {} : { threads }),
  })

  async function check(message: ScanMessage, signal: AbortSignal): Promise<CheckResult> {
    const { origin } = message.envelope
    const content = ownCopy(await message.content())
    const task = {
      content,
      ...(origin.address === undefined ? {} : { address: origin.address }),
      ...(origin.rdns === undefined ? {} : { clientName: origin.rdns }),
    }
    return pool.run(task, { signal, transfer: [content.buffer] })
  }

  return {
    name: 'spamscanner',
    applies: isFromStranger,
    async scan(message, signal) {
      const startedAt = performance.now()
      const since = (): number => performance.now() - startedAt
      if (message.sizeBytes > mostBytes) return unable('longer than 1 MB', since())
      const checked = await check(message, signal)
      if (checked.kind === 'too long') return unable('more text than it is fit for', since())
      if (checked.attempts.length > 0) throw new Error(`it tried to reach out: ${checked.attempts.join(', ')}`)
      const symbols = symbolsOf(checked)
      return { status: 'ok', score: symbols.reduce((sum, { score }) => sum + score, 0), symbols, tookMs: since() }
    },
    close: () => pool.close(),
  }
}

function unable(reason: string, tookMs: number): EngineResult {
  return { status: 'unable', reason, score: 0, symbols: [], tookMs }
}

function symbolsOf({
  isTestText,
  points,
  reasons,
  files,
}: Extract<CheckResult, { readonly kind: 'checked' }>): readonly ScanSymbol[] {
  const score = Math.max(fewestScore, Math.min(mostScore, Math.round(points * pointScore * 10) / 10))
  const worst = files.toSorted((one, other) => fileScores[other.kind] - fileScores[one.kind])[0]
  return [
    ...(isTestText ? [{ name: 'SPAMSCANNER_GTUBE', score: testScore, text: 'the generic test, decoded' }] : []),
    ...(score === 0 ? [] : [{ name: 'SPAMSCANNER', score, text: printable(reasons.join(', ')) }]),
    ...(worst === undefined
      ? []
      : [{ name: 'SPAMSCANNER_FILE', score: fileScores[worst.kind], text: `${worst.kind}: ${printable(worst.name)}` }]),
  ]
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)
}
