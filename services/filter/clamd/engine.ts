import type { VirusSettings } from '../../../shared/config/model.ts'
import type { Envelope } from '../../../shared/mail/envelope.ts'
import { hasTag } from '../../../shared/spam/spam-policy.ts'
import type { Demand } from '../../../shared/spam/weigh.ts'
import type { Engine, EngineResult } from '../engine.ts'
import { createLimiter } from '../limiter.ts'
import { openClamd } from './client.ts'
import type { ClamdReply } from './client.ts'

/** Connections at a time; clamd has 10 threads unless told otherwise, and lets others wait. */
const mostConnections = 10

/** Asks clamd about every message, whoever sent it. The whole message: clamd reads MIME and archives itself. */
export function createClamdEngine(settings: VirusSettings): Engine {
  const limited = createLimiter(mostConnections)
  const clamd = openClamd(settings.clamd)
  return {
    name: 'clamd',
    applies: () => true,
    async scan(message, signal) {
      const startedAt = performance.now()
      const reply = await limited(() => clamd.scan(() => message.stream(), signal), signal)
      return { ...resultOf(reply, settingsFor(settings, message.envelope)), tookMs: performance.now() - startedAt }
    },
    close: async () => clamd.close(),
  }
}

function settingsFor(settings: VirusSettings, envelope: Envelope): VirusSettings {
  const policy = settings.policies.find(({ tag }) => hasTag(envelope, tag))
  return policy === undefined ? settings : { ...settings, infected: policy.infected }
}

function resultOf(reply: ClamdReply, { infected, onFailure }: VirusSettings): Omit<EngineResult, 'tookMs'> {
  switch (reply.kind) {
    case 'clean':
      return { status: 'ok', score: 0, symbols: [], virus: { kind: 'clean' } }
    case 'infected': {
      const { name } = reply
      const demand: Demand = {
        action: infected === 'tag' ? 'junk' : infected,
        kind: 'virus',
        reason: `virus: ${name}`,
      }
      const symbols = [{ name: 'VIRUS', score: 0, text: name }]
      return { status: 'ok', score: 0, symbols, demand, virus: { kind: 'infected', name } }
    }
    case 'too long': {
      const reason = 'longer than clamd takes (StreamMaxLength)'
      const demand: Demand = { action: 'quarantine', kind: 'virus', reason: `not scanned: ${reason}` }
      const unscanned = { status: 'unable' as const, score: 0, symbols: [], reason }
      return onFailure === 'defer' ? { ...unscanned, demand } : unscanned
    }
  }
}
