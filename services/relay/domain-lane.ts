import { randomUUID } from 'node:crypto'

import type { Disposition } from '../../shared/mail/disposition.ts'
import { postpone } from '../../shared/mail/disposition.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'

/** When no slot becomes free, or the news of it is lost. */
const lookAgainMs = 30_000
const graceMs = 10_000

/**
 * Does the work when fewer than `limit` messages are at work for the domain, over all relay processes (`max-conn-per-domain`). A
 * process that dies gives its slots back when the time-out of the queue is over. While Redis is away nothing is sent.
 */
export async function inLane(
  context: StageContext,
  domain: string,
  limit: number,
  work: () => Promise<Disposition>,
): Promise<Disposition> {
  const { lanes } = context.queues
  const lane = { destination: `relay ${domain}`, limit }
  const holder = randomUUID()
  const timeoutMs = context.configuration.pipeline.queues.get('relay')?.timeoutMs ?? 0
  const granted = await lanes.acquire(lane.destination, limit, holder, timeoutMs + graceMs).then(
    (answer) => answer.granted,
    () => undefined,
  )
  if (granted === undefined) return postpone(lookAgainMs, 'the limit of the domain cannot be asked for')
  if (!granted) return postpone(lookAgainMs, `max-conn-per-domain ${limit} is reached for ${domain}`, lane)
  try {
    return await work()
  } finally {
    await lanes.release(lane.destination, holder).catch((error: unknown) => {
      context.log.warn({ domain, error: String(error) }, 'a slot of the domain was not given back; it ends by itself')
    })
  }
}
