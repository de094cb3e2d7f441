import { readHeld } from '../../shared/report/read-queues.ts'
import { formatDuration, formatSize } from '../../shared/report/units.ts'
import type { JobView } from '../../shared/report/views.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { withQueues } from './connect.ts'
import { defaultLimit, limitOf } from './show-queue.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const showHeld: Command = {
  words: ['show', 'held'],
  operands: [],
  options: [{ name: 'limit', value: 'N', summary: `messages shown (${defaultLimit}; 0: all)` }],
  summary: 'what is held back, since when and why; "release ID" lets it go, "remove ID" drops it',
  run: show,
}

/** All of them in one answer of Redis, but no more than it can give without stopping for others. */
const most = 100_000

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const limit = Math.min(limitOf(options.text('limit')), most)
  const found = await withQueues(invocation, (queues) => readHeld(queues, limit + 1))
  const held = found.slice(0, limit)
  if (options.has('json')) terminal.print(JSON.stringify({ held }, undefined, 2))
  else for (const line of heldText(held, terminal, Date.now())) terminal.print(line)
  if (found.length > limit && !options.has('json')) terminal.print('and more: --limit 0 shows all')
  return exitCodes.done
}

function heldText(held: readonly JobView[], terminal: Terminal, nowAt: number): readonly string[] {
  if (held.length === 0) return ['Nothing is held.']
  return textTable(
    [
      { title: 'id' },
      { title: 'for' },
      { title: 'held', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'queue' },
      { title: 'from' },
      { title: 'to' },
      { title: 'reason' },
    ],
    held.map((job) => [
      job.id,
      job.quarantine === undefined ? '-' : terminal.paint('red', job.quarantine),
      job.heldAt === undefined ? '' : formatDuration(Math.max(0, nowAt - job.heldAt)),
      formatSize(job.sizeBytes),
      job.queue,
      visible(job.from ?? '<>'),
      visible(job.to.join(' ')),
      visible(job.reason ?? ''),
    ]),
  )
}
