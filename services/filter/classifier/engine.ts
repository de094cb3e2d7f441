import { openClassifier } from '../../../shared/classifier/classifier.ts'
import { judge } from '../../../shared/classifier/model.ts'
import { mostReadBytes } from '../../../shared/classifier/readable-mail.ts'
import { workerFile } from '../../../shared/workers/start-worker.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Engine, EngineResult } from '../engine.ts'
import { firstOctets } from '../first-octets.ts'
import { createOctetWork } from '../octet-work.ts'
import extract from './extract.ts'

export interface ClassifierOptions {
  readonly dataFolder: string
  readonly now: () => number
  /** One for each core when left out. */
  readonly threads?: number
}

/** 1 MB takes up to 0.25 s on a machine that is not busy. */
const wallMs = 10_000

/** Judges a message by its words, links and build: the model that came with Sluice, or the one of this site. */
export function createClassifierEngine(options: ClassifierOptions): Engine {
  const classifier = openClassifier(options.dataFolder, options.now)
  const extraction = createOctetWork({
    file: workerFile('./extract.ts', import.meta.url),
    work: extract,
    wallMs,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  })

  return {
    name: 'classifier',
    applies: isFromStranger,
    async scan(message, signal): Promise<EngineResult> {
      const startedAt = performance.now()
      const model = await classifier.model()
      const { logOdds, points } = judge(model, await extraction.run(await firstOctets(message, mostReadBytes), signal))
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
    close: () => extraction.close(),
  }
}
