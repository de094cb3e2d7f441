import type { Queues } from '../../shared/queue/queues.ts'
import { workQueues } from '../../shared/report/read-queues.ts'
import { plural } from '../../shared/report/units.ts'
import type { JobView } from '../../shared/report/views.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { withQueues } from './connect.ts'
import { readUpTo, states } from './show-queue.ts'
import { visible } from './terminal.ts'

/** For old hands, and the scripts they have. */
export const mailq: Command = {
  words: ['mailq'],
  operands: [],
  summary: 'what waits, in the form of Postfix: * is at work, ! is held; --json: a line each, as postqueue -j',
  run: (invocation) => withQueues(invocation, (queues) => run(invocation, queues)),
}

/** The jobs of one message. */
interface Waiting {
  readonly first: JobView
  readonly jobs: JobView[]
}

async function run({ terminal, options }: Invocation, queues: Queues): Promise<number> {
  const messages = new Map<string, Waiting>()
  for (const name of workQueues(queues)) {
    for (const state of states) {
      for (const job of await readUpTo(queues, name, state, Number.POSITIVE_INFINITY)) {
        const known = messages.get(job.id)
        if (known === undefined) messages.set(job.id, { first: job, jobs: [job] })
        else known.jobs.push(job)
      }
    }
  }
  const inOrder = [...messages.values()].toSorted((one, other) => one.first.receivedAt - other.first.receivedAt)
  for (const line of options.has('json') ? inOrder.map(jsonLine) : mailqLines(inOrder)) terminal.print(line)
  return exitCodes.done
}

const heading = '-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------'
/** Column of the recipients; reasons end before it. */
const recipientColumn = 41

function mailqLines(messages: readonly Waiting[]): readonly string[] {
  if (messages.length === 0) return ['Mail queue is empty']
  const lines = [heading]
  for (const message of messages) {
    const { id, sizeBytes, receivedAt, from } = message.first
    const name = `${id}${marks[nameOf(message)]}`.padEnd(11)
    const sender = visible(from ?? 'MAILER-DAEMON')
    lines.push(`${name} ${String(sizeBytes).padStart(7)} ${arrivalTime(receivedAt)} ${sender}`)
    for (const job of message.jobs) {
      const why = job.reason ?? job.lastReply
      if (why !== undefined) lines.push(`(${visible(why)})`.padStart(recipientColumn - 1))
      for (const recipient of job.to) lines.push(`${' '.repeat(recipientColumn)}${visible(recipient)}`)
    }
    lines.push('')
  }
  const bytes = messages.reduce((sum, { first }) => sum + first.sizeBytes, 0)
  lines.push(`-- ${Math.ceil(bytes / 1024)} Kbytes in ${plural(messages.length, 'Request')}.`)
  return lines
}

/** The fields of `postqueue -j` that programs read; times in seconds. */
function jsonLine(message: Waiting): string {
  const { id, sizeBytes, receivedAt, from } = message.first
  return JSON.stringify({
    queue_name: nameOf(message),
    queue_id: id,
    arrival_time: Math.floor(receivedAt / 1_000),
    message_size: sizeBytes,
    sender: from ?? 'MAILER-DAEMON',
    recipients: message.jobs.flatMap(({ to, reason, lastReply }) => {
      const why = reason ?? lastReply
      return to.map((address) => ({ address, ...(why === undefined ? {} : { delay_reason: why }) }))
    }),
  })
}

const marks = { active: '*', hold: '!', deferred: '', incoming: '' } as const

function nameOf({ jobs }: Waiting): keyof typeof marks {
  if (jobs.some(({ state }) => state === 'active')) return 'active'
  if (jobs.every(({ state }) => state === 'held')) return 'hold'
  return jobs.some(({ state }) => state === 'waiting') ? 'incoming' : 'deferred'
}

/** `Sat Nov 21 15:40:20`, local time. */
function arrivalTime(at: number): string {
  const [day = '', month = '', date = '', , time = ''] = new Date(at).toString().split(' ')
  return `${day} ${month} ${date.replace(/^0/, ' ')} ${time}`
}
