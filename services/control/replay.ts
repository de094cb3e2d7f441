import { describeReplay } from '../../shared/operate/replay.ts'
import { done, forRecipient, recipientOf, withOperations } from './change-queue.ts'
import type { Command, Invocation } from './command.ts'
import { messageIdOperand, operatorName } from './connect.ts'

export const replay: Command = {
  words: ['replay'],
  operands: [{ name: 'ID', required: true }],
  options: [
    { name: 'from', value: 'QUEUE', summary: 'a queue that it passed within the last hour (its beginning)' },
    { name: 'again', summary: 'also to those who have it already' },
    { name: 'dry-run', summary: 'tell what would be done, and do nothing' },
    forRecipient,
  ],
  summary: 'let a message go again from a queue it passed, with its tags and header edits as they were there',
  run,
}

function run(invocation: Invocation): Promise<number> {
  const { options } = invocation
  const id = messageIdOperand(invocation)
  const [from, again, dryRun] = [options.text('from'), options.has('again'), options.has('dry-run')]
  const request = { from, recipient: recipientOf(invocation), again, dryRun }
  return withOperations(invocation, async (operations) => {
    const result = await operations.replay(id, request, operatorName())
    return done(invocation, { id, dryRun, ...result }, describeReplay(result, request).join('\n'))
  })
}
