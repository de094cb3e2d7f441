import { sweep } from '../../shared/pipeline/sweep.ts'
import { plural } from '../../shared/report/units.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { operatorName, withSystem } from './connect.ts'

export const rebuild: Command = {
  words: ['rebuild'],
  operands: [],
  summary: 'read the spool and give every message without a job its jobs again; safe while mail flows',
  run: (invocation) => withSystem(invocation, (context) => run(invocation, context)),
}

async function run({ terminal, options }: Invocation, context: ServiceContext): Promise<number> {
  const index = await LiveIndex.open(context.spool.volume)
  try {
    const result = await sweep({ ...context, index }, { minAgeMs: 0, reason: `rebuild by ${operatorName()}` })
    await context.queues.ensureEpoch()
    if (options.has('json')) terminal.print(JSON.stringify(result))
    else {
      terminal.print(
        `${plural(result.live, 'message')} in the spool, ${plural(result.requeued, 'message')} queued again`,
      )
      if (result.failed > 0)
        terminal.warn(`${plural(result.failed, 'message')} could not be queued; the log of the ledger says why`)
    }
    return result.failed === 0 ? exitCodes.done : exitCodes.failed
  } finally {
    await index.close()
  }
}
