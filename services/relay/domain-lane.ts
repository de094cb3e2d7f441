import { randomUUID } from 'node:crypto'

import type { LaneSettings } from '../../shared/config/model.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { postpone } from '../../shared/mail/disposition.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { spreadMs } from '../../shared/queue/queues.ts'
import type { RelayLimits } from './relay-limits.ts'

/** When no slot becomes free, or the news of it is lost. */
const lookAgainMs = 30_000
const graceMs = 10_000

/** How many messages may be at work for something, over all relay processes. */
export interface AtOnce {
  readonly name: string
  readonly limit: number
  /** What the operator wrote. */
  readonly why: string
}

/** `lane ... concurrency`. */
export function concurrencyOf({ concurrency: limit }: LaneSettings, name: string): AtOnce | undefined {
  return limit === undefined ? undefined : { name, limit, why: `concurrency ${limit}` }
}

/** `max-conn-per-domain` of smtpd.conf. */
export function perDomain({ maxConnections }: RelayLimits, name: string): AtOnce | undefined {
  const limit = maxConnections.domain
  return limit === undefined ? undefined : { name, limit, why: `max-conn-per-domain ${limit}` }
}

/**
 * Does the work when fewer than `limit` messages are at work there. A process that dies gives its slots back when the time-out of the queue is over. While Redis is away nothing is sent.
 */
export async function inLane(
  context: StageContext,
  { name, limit, why }: AtOnce,
  work: () => Promise<Disposition>,
): Promise<Disposition> {
  const { lanes } = context.queues
  const lane = { destination: `relay ${name}`, limit }
  const holder = randomUUID()
  const timeoutMs = context.configuration.pipeline.queues.get('relay')?.timeoutMs ?? 0
  const answer = await lanes.acquire(lane.destination, limit, holder, timeoutMs + graceMs).catch(() => undefined)
  if (answer === undefined) return postpone(lookAgainMs, `the limit of ${name} cannot be asked for`)
  if (!answer.granted) return postpone(lookAgainMs + spreadMs(answer.parked), `${why} is reached for ${name}`, lane)
  let used = true
  try {
    const disposition = await work()
    used = disposition.kind !== 'postpone'
    return disposition
  } finally {
    // What was put off by the rate would call all that wait, one after the other, only to be put off as well.
    await lanes.release(lane.destination, holder, used).catch((error: unknown) => {
      context.log.warn({ lane: name, error: String(error) }, 'a slot of a lane was not given back; it ends by itself')
    })
  }
}
