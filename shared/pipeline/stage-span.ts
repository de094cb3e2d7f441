import type { Disposition } from '../mail/disposition.ts'
import { isPositive } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { inSpan } from '../tracing/span.ts'
import type { Span } from '../tracing/span.ts'
import type { StageContext, StageMessage } from './stage.ts'

/**
 * Lets a stage work in a span of its own below that of its job, which says what came of it: a refusal, temporary or permanent, is an error
 * with the code of the reply. Without one the stage only works.
 */
export function inStageSpan(
  job: Span | undefined,
  { envelope, action, pending, sizeBytes }: StageMessage,
  queue: string,
  work: (within: Pick<StageContext, 'span'>) => Promise<Disposition>,
): Promise<Disposition> {
  if (job === undefined) return work({})
  const attributes = {
    'sluice.message.id': envelope.id,
    'sluice.stage': queue,
    'sluice.action': action,
    'sluice.recipients': pending.length,
    'messaging.message.body.size': sizeBytes,
  }
  return inSpan(job, `stage ${queue}`, { attributes }, async (span) => {
    const disposition = await work(span === undefined ? {} : { span })
    span?.set({ 'sluice.disposition': disposition.kind })
    const refusal = refusalIn(disposition)
    if (refusal !== undefined) span?.fail(String(refusal.code))
    return disposition
  })
}

/** The first one, of the temporary ones before the permanent ones. */
function refusalIn(disposition: Disposition): Reply | undefined {
  switch (disposition.kind) {
    case 'reject':
      return disposition.reply
    case 'settled': {
      const refused = disposition.attempts.map(({ reply }) => reply).filter((reply) => !isPositive(reply))
      return refused.toSorted((one, other) => one.code - other.code)[0]
    }
    case 'pass':
    case 'hold':
    case 'discard':
    case 'postpone':
      return undefined
  }
}
