import type { LaneSettings, Rate } from '../../shared/config/model.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { postpone } from '../../shared/mail/disposition.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { Taking } from '../../shared/queue/queues.ts'

/** While Redis is away. */
const lookAgainMs = 30_000
/** The gate gives no turn later than in an hour: those beyond come back spread out, and not all at once. */
const farMs = 3_500_000

/**
 * Does the work when the rates of the destination (`lane ... rate`) have room for it, over all relay processes. What is taken is not given
 * back when the attempt fails: the destination had to do with it.
 */
export async function withinRates(
  message: StageMessage,
  context: StageContext,
  destination: string,
  settings: LaneSettings,
  work: () => Promise<Disposition>,
): Promise<Disposition> {
  const takings = [
    ...takingOf('messages', settings.messages, 1, destination),
    ...takingOf('recipients', settings.recipients, message.pending.length, destination),
  ]
  if (takings.length === 0) return work()
  const waitMs = await context.queues.rateGate.take(takings, message.behind === true).catch(() => undefined)
  if (waitMs === 0) return work()
  return waitMs === undefined
    ? postpone(lookAgainMs, `the rate of ${destination} cannot be asked for`)
    : postpone(waitMs < farMs ? waitMs : waitMs * (1 + Math.random()), `the rate of ${destination} is reached`)
}

/** A rate of another size, after a reload, begins anew. */
function takingOf(unit: string, rate: Rate | undefined, amount: number, destination: string): readonly Taking[] {
  if (rate === undefined) return []
  return [{ ...rate, amount, key: `${destination} ${rate.count}/${rate.periodMs} ${unit}` }]
}
