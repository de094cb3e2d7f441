import type { MessageId } from '../../shared/mail/message-id.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { describeReplay } from '../../shared/operate/replay.ts'
import type { ReplayRequest } from '../../shared/operate/replay.ts'
import { plural } from '../../shared/report/units.ts'
import { bySearch } from './bulk.ts'
import { forRecipient, recipientOf, selecting } from './change-queue.ts'
import { UsageError } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { messageIdOperand, operatorName } from './connect.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'
import { done, withOperations } from './with-operations.ts'

export const replay: Command = {
  words: ['replay'],
  operands: [{ name: 'ID', required: false }],
  options: [
    { name: 'from', value: 'QUEUE', summary: 'a queue that it passed (its beginning)' },
    { name: 'to', value: 'ADDRESS', summary: 'a copy for this address; those it was for get nothing' },
    { name: 'again', summary: 'also to those who have it already' },
    ...selecting.filter(({ name }) => name === 'search' || name === 'yes'),
    { name: 'dry-run', summary: 'tell what rules and stages would decide now, and did then; do nothing' },
    forRecipient,
  ],
  summary: 'let a message go again from a queue it passed, with its tags and header edits as they were there',
  run,
}

function run(invocation: Invocation): Promise<number> {
  const { options, operands } = invocation
  if (options.has('search') === (operands[0] !== undefined)) throw new UsageError('name one of: an ID, --search QUERY')
  if (options.has('search')) {
    if (options.has('recipient')) throw new UsageError('--recipient goes with an ID: a search names its own (to:)')
    const copyTo = options.text('to')
    return bySearch(invocation, 'replay', copyTo === undefined ? {} : { copyTo })
  }
  const id = messageIdOperand(invocation)
  const [from, again, dryRun] = [options.text('from'), options.has('again'), options.has('dry-run')]
  const to = options.text('to')
  const request = { from, recipient: recipientOf(invocation), to, again, dryRun }
  return withOperations(invocation, async (operations) => {
    if (dryRun && to === undefined) return tell(invocation, id, request, operations)
    const result = await operations.replay(id, request, operatorName())
    return done(invocation, { id, dryRun, ...result }, describeReplay(result, request).join('\n'))
  })
}

/** Who would get it, and what would be decided on the way, beside what was. */
async function tell(
  invocation: Invocation,
  id: MessageId,
  request: ReplayRequest,
  operations: Operations,
): Promise<number> {
  const result = await operations.replay(id, request, operatorName())
  const trial = await operations.tryReplay(id, request)
  const { paint } = invocation.terminal
  const rows = trial.map(({ to, queue = 'rules', now, before = '?', differs }) => [
    queue,
    visible(to.join(', ')),
    differs ? paint('yellow', visible(now)) : visible(now),
    visible(before),
  ])
  const columns = ['BY', 'FOR', 'NOW', 'THEN'].map((title) => ({ title }))
  const differing = trial.filter(({ differs }) => differs).length
  const text = [
    ...describeReplay(result, request),
    '',
    ...textTable(columns, rows),
    '',
    differing === 0
      ? 'no decision that is known would be another'
      : `${plural(differing, 'decision')} would be another`,
  ]
  return done(invocation, { id, dryRun: true, ...result, trial }, text.join('\n'))
}
