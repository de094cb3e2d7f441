import { openAudit } from '../../shared/audit.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { describeLimit, limitQueue, readLimit } from '../../shared/operate/queue-limits.ts'
import type { Command, Invocation } from './command.ts'
import { operatorName, withQueues } from './connect.ts'
import { done } from './with-operations.ts'

export const limit: Command = {
  words: ['limit'],
  operands: [
    { name: 'QUEUE', required: true },
    { name: 'RATE|off', required: false },
  ],
  options: [{ name: 'concurrency', value: 'N', summary: 'messages at work at a time, over all workers' }],
  summary: 'let a queue take so many messages in a time (50/s), or at a time, until it is lifted (off)',
  run: limitOne,
}

function limitOne(invocation: Invocation): Promise<number> {
  const [queue = '', rate] = invocation.operands
  const wanted = readLimit({ rate, concurrency: invocation.options.text('concurrency') })
  return withQueues(invocation, async (queues, { dataFolder }) => {
    const by = operatorName()
    const decision = { ...wanted, by, at: systemClock.now() }
    await limitQueue({ queues, dataFolder }, queue, decision)
    const detail = describeLimit(wanted)
    const audit = await openAudit(dataFolder, { log: silentLog(), clock: systemClock })
    audit.record({ by, from: 'this host', action: 'limit queue', about: queue, outcome: 'done', detail })
    await audit.close()
    return done(invocation, { queue, limit: wanted === undefined ? null : decision }, `queue ${queue}: ${detail}`)
  })
}
