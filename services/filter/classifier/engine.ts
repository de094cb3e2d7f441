import { openClassifier } from '../../../shared/classifier/classifier.ts'
import { judge } from '../../../shared/classifier/model.ts'
import type { Features } from '../../../shared/classifier/features.ts'
import { mostReadBytes } from '../../../shared/classifier/readable-mail.ts'
import { workerFile } from '../../../shared/workers/start-worker.ts'
import { createWorkerPool, ownCopy } from '../../../shared/workers/worker-pool.ts'
import type { WorkerPool } from '../../../shared/workers/worker-pool.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Engine, EngineResult, ScanMessage } from '../engine.ts'
import { firstOctets } from '../first-octets.ts'
import extract from './extract.ts'

export interface ClassifierOptions {
  readonly dataFolder: string
  readonly now: () => number
  /** One for each core when left out. */
  readonly threads?: number
}

/** 64 KB take about 5 ms, the way into a thread and back much less. */
const inPlaceBytes = 16_384
const wallMs = 2_000

/** Judges a message by its words, links and build: the model that came with Sluice, or the one of this site. */
export function createClassifierEngine(options: ClassifierOptions): Engine {
  const classifier = openClassifier(options.dataFolder, options.now)
  const pool: WorkerPool<Uint8Array, Features> = createWorkerPool({
    file: workerFile('./extract.ts', import.meta.url),
    wallMs,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  })

  async function features(message: ScanMessage, signal: AbortSignal): Promise<Features> {
    const beginning = await firstOctets(message, mostReadBytes)
    if (beginning.length <= inPlaceBytes) return extract(beginning)
    const task = ownCopy(beginning)
    return pool.run(task, { signal, transfer: [task.buffer] })
  }

  return {
    name: 'classifier',
    applies: isFromStranger,
    async scan(message, signal): Promise<EngineResult> {
      const startedAt = performance.now()
      const model = await classifier.model()
      const { logOdds, points } = judge(model, await features(message, signal))
      const score = Math.round(points * 10) / 10
      const share = (100 / (1 + Math.exp(-logOdds))).toFixed(1)
      const text = `${share} % spam by ${model.version}`
      return {
        status: 'ok',
        score,
        symbols: [{ name: 'CLASSIFIER', score, text }],
        tookMs: performance.now() - startedAt,
      }
    },
    trouble: () => classifier.trouble,
    close: () => pool.close(),
  }
}
