import { isOpen } from '../../shared/report/message-view.ts'
import { chosenOf } from '../../shared/operate/replay-choice.ts'
import { withDecisions } from '../../shared/spool/decisions.ts'
import { isFinal } from '../../shared/spool/spool.ts'
import { recipientOf } from './change-queue.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, messageFiles, messageIdOperand } from './connect.ts'
import { jobsOf } from './show-message.ts'
import { smtpctlEnvelope } from './smtpctl-envelope.ts'

export const showEnvelope: Command = {
  words: ['show', 'envelope'],
  operands: [{ name: 'ID', required: true }],
  options: [{ name: 'recipient', value: 'ADDRESS', summary: 'the copy of one recipient alone' }],
  summary: 'the copies of a message that wait, in the lines of `smtpctl show envelope`',
  run: show,
}

/** Each with its own lines, an empty one between two. */
async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const id = messageIdOperand(invocation)
  const place = await findPlace(invocation)
  const { configuration } = place
  const messages = messageFiles(place)
  const stored = await messages.find(id)
  if (stored === undefined) throw new ControlError(`message ${id} is not in the spool`)
  const outcomes = await messages.outcomesOf(id)
  const envelope = withDecisions(stored.envelope, outcomes)
  const settled = new Set(outcomes.filter(isFinal).map(({ recipient }) => recipient))
  const waiting = chosenOf(envelope, recipientOf(invocation)).filter((one) => !settled.has(one))
  if (waiting.length === 0) throw new ControlError(`nothing of message ${id} waits`)
  const seen = await jobsOf(invocation, place, id)
  if (seen.kind === 'away') terminal.warn(`sluicectl: attempts and actions are not known: ${seen.reason}`)
  const jobs = seen.kind === 'away' ? [] : seen.value.filter(isOpen)
  const told = waiting.map((recipient) => {
    const job = jobs.find(({ rcpt }) => rcpt.includes(recipient))
    return smtpctlEnvelope({ envelope, recipient, ...(job === undefined ? {} : { job }) }, configuration)
  })
  if (options.has('json')) {
    terminal.print(JSON.stringify(told.map(fieldsOf), undefined, 2))
    return exitCodes.done
  }
  for (const [index, lines] of told.entries()) {
    if (index > 0) terminal.print('')
    for (const line of lines) terminal.print(line)
  }
  return exitCodes.done
}

function fieldsOf(lines: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    lines.map((line) => {
      const end = line.indexOf(': ')
      return [line.slice(0, end), line.slice(end + 2)]
    }),
  )
}
