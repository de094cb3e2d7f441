import { setTimeout as pause } from 'node:timers/promises'

import type { SinkAnswer, SinkEvent } from '../support/mail-sink.ts'

const thoughtMs = 20_000

/**
 * How the mail servers of the demonstration answer, by the domain of a recipient: strict.example knows nobody, cautious.example takes nobody's mail at the
 * first time, slow.example thinks for twenty seconds, all others take everything.
 */
export function answerOf({ stage, argument, count }: SinkEvent): SinkAnswer | undefined | Promise<undefined> {
  if (stage !== 'rcpt') return undefined
  switch (argument.slice(argument.lastIndexOf('@') + 1)) {
    case 'strict.example':
      return '550 5.1.1 There is nobody of that name here'
    case 'cautious.example':
      return count === 1 ? '450 4.2.0 Greylisted, come again in some minutes' : undefined
    case 'slow.example':
      return pause(thoughtMs, undefined)
    default:
      return undefined
  }
}
