import type { Configuration, Rate } from '../config/model.ts'
import { domainOf } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { RateGate } from '../queue/queues.ts'

export interface BounceLimitParts {
  readonly configuration: Pick<Configuration, 'pipeline'>
  readonly rateGate: Pick<RateGate, 'take'>
}

/**
 * Counts a report to this sender, over all processes. Returns the limit of `bounces limit` that it goes beyond, as it is written; undefined:
 * it may go. Whoever logged in, and this host, wrote what is reported: their reports reach nobody else and are not counted. While Redis
 * is away nothing is held back: stages take no mail then.
 */
export async function limitReached(
  { configuration, rateGate }: BounceLimitParts,
  sender: Mailbox,
  { origin }: Pick<Envelope, 'origin'>,
): Promise<string | undefined> {
  if (origin.kind === 'local' || origin.user !== undefined || origin.thisHost === true) return undefined
  const { address, domain } = configuration.pipeline.bounces
  const limits = [
    ['address', address, sender.toLowerCase()],
    ['domain', domain, domainOf(sender).toLowerCase()],
  ] as const
  for (const [per, limit, whose] of limits) {
    if (limit === undefined) continue
    const written = `bounces limit ${per} ${limit.count}/${limit.periodMs / 1000}s`
    const waitMs = await rateGate.take([taking(limit, `${written} ${whose}`)]).catch(() => 0)
    if (waitMs > 0) return written
  }
  return undefined
}

function taking({ count, periodMs }: Rate, key: string) {
  return { key, amount: 1, count, periodMs }
}
