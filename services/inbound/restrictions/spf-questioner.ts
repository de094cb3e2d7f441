import { setTimeout as wait } from 'node:timers/promises'

import type { Clock } from '../../../shared/clock.ts'
import type { Means } from '../../../shared/restrictions/question.ts'
import type { Resolver } from '../../../shared/resolver.ts'
import { createSpfCheck } from '../../../shared/spf/spf-check.ts'

export interface SpfQuestionerParts extends Pick<Means, 'log'> {
  readonly resolver: Omit<Resolver, 'close'>
  readonly clock: Clock
  readonly hostname: string
  /** All look-ups of one question together; a client waits for them at RCPT. */
  readonly limitMs?: number
}

/** Asks SPF for restrictions. */
export function spfQuestioner({ limitMs = 10_000, log, ...parts }: SpfQuestionerParts): Means['spfPasses'] {
  const spf = createSpfCheck(parts)

  return async ({ client, helo, sender }) => {
    if (sender === undefined) return false
    const origin = { address: client.address, ...(helo === undefined ? {} : { helo }) }
    const answered = new AbortController()
    try {
      const asked = spf.check({ origin, reversePath: sender.mailbox })
      const late = wait(limitMs, undefined, { signal: answered.signal, ref: false }).catch(() => undefined)
      return (await Promise.race([asked, late]))?.result === 'pass'
    } catch (error) {
      log.warn({ err: error, address: client.address }, 'SPF is not possible now: it proves nothing')
      return false
    } finally {
      answered.abort()
    }
  }
}
