import type { Clock } from '../../../shared/clock.ts'
import { withinTime } from '../../../shared/deadline.ts'
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
    const ask = () => spf.check({ origin, reversePath: sender.mailbox })
    try {
      const { result } = await withinTime(new AbortController().signal, limitMs, 'no answer', ask)
      return result === 'pass'
    } catch (error) {
      log.warn({ err: error, address: client.address }, 'SPF is not possible now: it proves nothing')
      return false
    }
  }
}
