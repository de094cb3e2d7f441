import type { Engine } from './engine.ts'
import { isFromStranger } from './authentication/engine.ts'

/**
 * The test text every spam filter knows, here in two parts, so that this file is not taken for spam. Whoever sends it unencoded in
 * a message sees what his server does with spam.
 */
export const gtube = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*', 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'].join('')

const score = 1_000
/** A test message is short; longer ones are not searched. */
const mostBytes = 262_144

export function createGtubeEngine(): Engine {
  return {
    name: 'gtube',
    applies: isFromStranger,
    async scan(message) {
      const startedAt = performance.now()
      const isTest = message.sizeBytes <= mostBytes && (await message.content()).includes(gtube)
      return {
        status: 'ok',
        score: isTest ? score : 0,
        symbols: isTest ? [{ name: 'GTUBE', score, text: 'the generic test for unsolicited bulk mail' }] : [],
        tookMs: performance.now() - startedAt,
      }
    },
    close: async () => {},
  }
}
