import type { RspamdEngine } from '../../../shared/config/model.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Demand } from '../../../shared/spam/weigh.ts'
import type { Engine, EngineResult } from '../engine.ts'
import { createRspamdClient } from './client.ts'
import type { RspamdReply } from './client.ts'

/** Rspamd's score counts; what its own thresholds say is obeyed too, unless the configuration lets only the score count. */
export function createRspamdEngine(settings: RspamdEngine): Engine {
  const client = createRspamdClient(settings.url)
  return {
    name: 'rspamd',
    applies: isFromStranger,
    async scan(message, signal) {
      const startedAt = performance.now()
      const reply = await client.check(message, signal)
      return { ...resultOf(reply, settings), tookMs: performance.now() - startedAt }
    },
    close: async () => client.close(),
  }
}

function resultOf(reply: RspamdReply | 'too long', { actions }: RspamdEngine): Omit<EngineResult, 'tookMs'> {
  if (reply === 'too long')
    return { status: 'unable', reason: 'longer than Rspamd takes (max_message)', score: 0, symbols: [] }
  const { score, symbols } = reply
  if (actions === 'ignore') return { status: 'ok', score, symbols }
  if (reply.action === 'soft reject')
    return { status: 'failed', reason: 'Rspamd asks to try again later', score: 0, symbols: [] }
  const demand = demandOf(reply)
  return { status: 'ok', score, symbols, ...(demand === undefined ? {} : { demand }) }
}

/** `greylist` comes too late: the message is accepted. */
const demands = new Map<string, Demand['action']>([
  ['add header', 'junk'],
  ['rewrite subject', 'junk'],
  ['quarantine', 'quarantine'],
  ['reject', 'reject'],
  ['discard', 'discard'],
])

function demandOf({ action, score, required, text }: RspamdReply): Demand | undefined {
  const demanded = demands.get(action)
  const said = text === undefined ? '' : ` (${text})`
  const reason = `Rspamd: ${action}${said}, score ${Math.round(score * 100) / 100} of ${required}`
  return demanded === undefined ? undefined : { action: demanded, kind: 'spam', reason }
}
