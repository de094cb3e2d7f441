import { OperationError } from '../../shared/operate/operation-error.ts'
import type { ManyDone } from '../../shared/operate/many.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import type { GivenOrder } from '../../shared/operate/relay-order.ts'
import { plural } from '../../shared/report/units.ts'
import { bySearch } from './bulk.ts'
import {
  forRecipient,
  isWanted,
  notWanted,
  recipientOf,
  selecting,
  selectionOf,
  tellCount,
  withProgress,
} from './change-queue.ts'
import { UsageError } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { messageIdOf, messageIdOperand, operatorName } from './connect.ts'
import { done, withOperations } from './with-operations.ts'

export const reroute: Command = {
  words: ['reroute'],
  operands: [{ name: 'ID', required: false, multiple: true }],
  options: [
    { name: 'to', value: 'HOST', summary: 'a relay host as in smtpd.conf: smtp+tls://label@mx.example.org:587' },
    { name: 'action', value: 'NAME', summary: 'another relay action of smtpd.conf, in place of --to' },
    { name: 'undo', summary: 'where the rules say, again, in place of --to' },
    ...selecting,
    forRecipient,
  ],
  summary: 'relay messages by way of another host or action than their rules say, from now on',
  run: (invocation) => sendElsewhere(invocation),
}

export const readdress: Command = {
  words: ['readdress'],
  operands: [
    { name: 'ID', required: true },
    { name: 'OLD', required: true },
    { name: 'NEW', required: true },
  ],
  summary: 'give the copy for one recipient another address; the rules say where it goes',
  run: (invocation) => withOperations(invocation, (operations) => giveAddress(invocation, operations)),
}

async function sendElsewhere(invocation: Invocation): Promise<number> {
  const given = orderOf(invocation)
  const selection = selectionOf(invocation)
  if (selection === 'search') return bySearch(invocation, 'reroute', { way: given })
  if (selection === undefined) return withOperations(invocation, (operations) => each(invocation, operations, given))
  return withOperations(invocation, async (operations) => {
    if (invocation.options.has('dry-run')) return tellCount(invocation, (await operations.counts(selection)).reroute)
    if (!(await isWanted(invocation, 'reroute', async () => (await operations.counts(selection)).reroute)))
      return notWanted(invocation)
    const result = await withProgress((told) => operations.rerouteMany(given, selection, operatorName(), told))
    return tell(invocation, result)
  })
}

async function each(invocation: Invocation, operations: Operations, given: GivenOrder): Promise<number> {
  const recipient = recipientOf(invocation)
  const ids = invocation.operands.map((operand) => messageIdOf(operand))
  if (recipient !== undefined && ids.length > 1) throw new UsageError('--recipient goes with one ID')
  let [count, left] = [0, 0]
  for (const id of ids) {
    const result = await operations.reroute(id, given, operatorName(), recipient).catch((error: unknown) => {
      if (error instanceof OperationError && count + left > 0)
        throw new OperationError(`${error.message}; rerouted so far: ${plural(count + left, 'job')}`)
      throw error
    })
    count += result.done
    left += result.left
  }
  return tell(invocation, { done: count, left })
}

/** @throws UsageError */
function orderOf({ options }: Invocation): GivenOrder {
  const given = { to: options.text('to'), action: options.text('action'), undo: options.has('undo') }
  const named = [given.to, given.action, given.undo ? true : undefined].filter((one) => one !== undefined)
  if (named.length !== 1 || options.texts('to').length > 1)
    throw new UsageError('name one of: --to HOST, --action NAME, --undo')
  return given
}

function tell(invocation: Invocation, { done: count, left }: ManyDone): number {
  const busy = left === 0 ? '' : `; ${left} at work just now: they follow when their attempt ends without success`
  return done(invocation, { done: count, left }, `${plural(count, 'job')} rerouted${busy}`)
}

async function giveAddress(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  const [, from = '', to = ''] = invocation.operands
  const mailbox = await operations.readdress(id, { from, to }, operatorName())
  return done(invocation, { id, from, to: mailbox }, `the copy of message ${id} for ${from} goes to ${mailbox}`)
}
