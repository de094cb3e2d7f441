import type { SpamAssassinEngine } from '../../../shared/config/model.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Engine } from '../engine.ts'
import { createLimiter } from '../limiter.ts'
import { askSpamd } from './client.ts'

/** spamd has five children unless told otherwise; more would only wait in its backlog. */
const mostConnections = 5
/** As spamc: SpamAssassin takes seconds for more, and spam is short. */
const mostBytes = 500 * 1024

/** SpamAssassin's score counts; its own threshold does not. */
export function createSpamAssassinEngine(settings: SpamAssassinEngine): Engine {
  const limited = createLimiter(mostConnections)
  return {
    name: 'spamassassin',
    applies: isFromStranger,
    async scan(message, signal) {
      const startedAt = performance.now()
      if (message.sizeBytes > mostBytes)
        return { status: 'unable', reason: `longer than ${mostBytes / 1024} KB`, score: 0, symbols: [], tookMs: 0 }
      const { score, symbols } = await limited(() => askSpamd(settings.place, message, signal), signal)
      return { status: 'ok', score, symbols, tookMs: performance.now() - startedAt }
    },
    close: async () => {},
  }
}
