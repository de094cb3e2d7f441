import { Readable } from 'node:stream'

import { ThreadLimitError } from '../../../shared/workers/worker-pool.ts'
import type { EngineResult } from '../engine.ts'
import { testEnvelope } from '../testing.ts'
import { createSpamScannerEngine } from './engine.ts'

/** What a message takes on a busy machine says nothing. */
const patientMs = 60_000

/** Scans messages with one thread, one after the other, and tells what became of each. @param file with other code than spamscanner's */
export async function scanAll(contents: readonly Buffer[], file?: string): Promise<readonly EngineResult[]> {
  const engine = createSpamScannerEngine({ threads: 1, wallMs: patientMs, ...(file === undefined ? {} : { file }) })
  const results: EngineResult[] = []
  try {
    for (const content of contents) {
      const message = {
        envelope: testEnvelope(),
        header: Buffer.alloc(0),
        content: async () => content,
        stream: () => Readable.from([content]),
        received: Buffer.alloc(0),
        sizeBytes: content.length,
      }
      results.push(await engine.scan(message, new AbortController().signal).catch(resultOf))
    }
  } finally {
    await engine.close()
  }
  return results
}

function resultOf(error: unknown): EngineResult {
  const status = error instanceof ThreadLimitError ? 'crashed' : 'failed'
  return { status, reason: String(error), score: 0, symbols: [], tookMs: 0 }
}
