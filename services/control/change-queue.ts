import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import type { BulkAction } from '../../shared/operate/bulk-order.ts'
import { actionNames } from '../../shared/operate/bulk-runs.ts'
import type { ManyAction, ManyCount, Selection, TellProgress } from '../../shared/operate/many.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { workQueues } from '../../shared/report/read-queues.ts'
import { plural } from '../../shared/report/units.ts'
import { bySearch } from './bulk.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation, Option } from './command.ts'
import { messageIdOperand, operatorName, withQueues } from './connect.ts'
import { createProgress } from './progress.ts'
import type { Progress } from './progress.ts'
import { done, withOperations } from './with-operations.ts'

/** Options of what is done to one message or to many. */
export const selecting: readonly Option[] = [
  { name: 'destination', value: 'DOMAIN', summary: 'all that goes to a domain or smarthost, in place of ID' },
  { name: 'tag', value: 'TAG', summary: 'all that carries a tag, in place of ID' },
  { name: 'search', value: 'QUERY', summary: 'all that a search finds (as in find), in place of ID' },
  { name: 'dry-run', summary: 'of many: tell how many there are, and change nothing' },
  { name: 'yes', summary: 'of many: do not ask before, on a terminal' },
]

/** Of what is done to all that a search finds. */
export const keptBack: Option = {
  name: 'quarantined',
  summary: 'with --search: also what a filter keeps back',
}

export const forRecipient: Option = {
  name: 'recipient',
  value: 'ADDRESS',
  summary: 'the copy of one recipient alone; the others go on',
}

export const schedule: Command = {
  words: ['schedule'],
  operands: [{ name: 'ID|all', required: false }],
  options: [...selecting, { name: 'queue', value: 'QUEUE', summary: 'all that wait in a queue, in place of ID' }],
  summary: 'try a delayed message, or all of them, now',
  run: (invocation) =>
    invocation.options.has('queue')
      ? runQueueNow(invocation)
      : onMany(invocation, 'schedule', (operations) => runNow(invocation, operations)),
}

export const expire: Command = {
  words: ['expire'],
  operands: [{ name: 'ID', required: false }],
  options: [...selecting, forRecipient],
  summary: 'return a message to its sender now, with a report, as when its time is over',
  run: (invocation) => onMany(invocation, 'expire', (operations) => giveBack(invocation, operations)),
}

export const remove: Command = {
  words: ['remove'],
  operands: [{ name: 'ID', required: false }],
  options: [...selecting, forRecipient, keptBack],
  summary: 'drop a message for good: nothing is delivered, nothing is reported to its sender',
  run: (invocation) => onMany(invocation, 'remove', (operations) => drop(invocation, operations)),
}

export const release: Command = {
  words: ['release'],
  operands: [{ name: 'ID', required: false }],
  options: [
    ...selecting,
    forRecipient,
    keptBack,
    { name: 'learn-ham', summary: 'teach the classifier that it is wanted mail' },
  ],
  summary: 'let a held message go: into its queue, or on past the filter that kept it back',
  run: (invocation) => onMany(invocation, 'release', (operations) => letGo(invocation, operations)),
}

export const hold: Command = {
  words: ['hold'],
  operands: [{ name: 'ID', required: false }],
  options: [...selecting, forRecipient],
  summary: 'keep a message in its queue until it is released',
  run: (invocation) => onMany(invocation, 'hold', (operations) => keepBack(invocation, operations)),
}

export const pause: Command = {
  words: ['pause'],
  operands: [{ name: 'QUEUE', required: true }],
  summary: 'take no more messages from a queue; mail goes on coming in',
  run: (invocation) => setPaused(invocation, true),
}

export const resume: Command = {
  words: ['resume'],
  operands: [{ name: 'QUEUE', required: true }],
  summary: 'take messages from a paused queue again',
  run: (invocation) => setPaused(invocation, false),
}

const doneWords: Readonly<Record<ManyAction, string>> = {
  schedule: 'tried now',
  hold: 'held',
  release: 'released',
  expire: 'returned to the sender',
  remove: 'removed',
}

/** One message, by its id, or those that an option selects. */
function onMany(
  invocation: Invocation,
  action: ManyAction,
  one: (operations: Operations) => Promise<number>,
): Promise<number> {
  const selection = selectionOf(invocation)
  if (selection === 'search') return bySearch(invocation, action)
  if (selection === undefined) return withOperations(invocation, one)
  return withOperations(invocation, async (operations) => {
    if (invocation.options.has('dry-run')) return tellCount(invocation, (await operations.counts(selection))[action])
    if (!(await isWanted(invocation, action, async () => (await operations.counts(selection))[action])))
      return notWanted(invocation)
    const { done: count, left } = await withProgress((tell) => operations.many(action, selection, operatorName(), tell))
    const busy = left === 0 ? '' : `; ${left} left, which a worker has: pause the queue and try again`
    return done(invocation, { done: count, left }, `${plural(count, 'job')} ${doneWords[action]}${busy}`)
  })
}

/** Shows on a terminal how far it is. */
export async function withProgress<T>(run: (tell: TellProgress) => Promise<T>): Promise<T> {
  let progress: Progress | undefined
  try {
    return await run((turns, total) => {
      progress ??= createProgress(process.stderr, total)
      progress.show(turns, `${turns} of ${plural(total, 'job')}`)
    })
  } finally {
    progress?.clear()
  }
}

/** @throws UsageError unless one of IDs, a destination, a tag and a search is given, and what goes with it */
export function selectionOf({ options, operands }: Invocation): Selection | 'search' | undefined {
  const [destination, tag, search] = [options.text('destination'), options.text('tag'), options.text('search')]
  const given = [operands[0], destination, tag, search].filter((text) => text !== undefined)
  if (given.length !== 1) throw new UsageError('name one of: an ID, --destination DOMAIN, --tag TAG, --search QUERY')
  if (operands[0] === undefined && options.has('recipient'))
    throw new UsageError('--recipient goes with an ID: it names one recipient of that message')
  if (operands[0] === undefined && options.has('learn-ham'))
    throw new UsageError('--learn-ham goes with an ID: what is learned is looked at one by one')
  if (search === undefined && options.has('quarantined'))
    throw new UsageError('--quarantined goes with --search; with an ID it is not needed')
  for (const name of ['dry-run', 'yes'])
    if (operands[0] !== undefined && options.has(name))
      throw new UsageError(`--${name} goes with --destination, --tag or --search: it is about many`)
  if (search !== undefined) return 'search'
  if (destination !== undefined) return { kind: 'destination', destination: asciiDomain(destination) ?? destination }
  return tag === undefined ? undefined : { kind: 'tag', tag }
}

/** Asks on a terminal, with the number; `--yes` and scripts are not asked. */
export async function isWanted(
  { options, terminal }: Invocation,
  action: BulkAction,
  count: () => Promise<ManyCount>,
): Promise<boolean> {
  if (options.has('yes') || !terminal.isWatched) return true
  const { jobs, messages } = await count()
  return terminal.confirm(`${actionNames[action]} ${plural(messages, 'message')}, ${plural(jobs, 'job')}?`)
}

export function notWanted({ terminal }: Invocation): number {
  terminal.warn('sluicectl: nothing is changed')
  return exitCodes.failed
}

export function tellCount(invocation: Invocation, { jobs, messages }: ManyCount): number {
  const text = `${plural(jobs, 'job')} of ${plural(messages, 'message')}; nothing is changed`
  return done(invocation, { jobs, messages }, text)
}

function runQueueNow(invocation: Invocation): Promise<number> {
  const { options, operands } = invocation
  const others = selecting.filter(({ name }) => options.has(name)).map(({ name }) => `--${name}`)
  if (operands[0] !== undefined || others.length > 0)
    throw new UsageError(`--queue stands alone: leave out ${operands[0] ?? others.join(' ')}`)
  const queue = options.text('queue') ?? ''
  return withOperations(invocation, async (operations) => {
    const scheduled = await operations.scheduleQueue(queue)
    return done(invocation, { queue, scheduled }, `${plural(scheduled, 'message')} of ${queue} will be tried now`)
  })
}

async function runNow(invocation: Invocation, operations: Operations): Promise<number> {
  if (invocation.operands[0] === 'all') {
    const scheduled = await operations.scheduleAll()
    return done(invocation, { scheduled }, `${plural(scheduled, 'message')} will be tried now`)
  }
  const id = messageIdOperand(invocation)
  const scheduled = await operations.scheduleMessage(id, operatorName())
  return done(invocation, { id, scheduled }, `message ${id} will be tried now`)
}

async function drop(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  const removed = await operations.remove(id, operatorName(), recipientOf(invocation))
  return done(invocation, { id, removed }, `message ${id} is removed for ${plural(removed, 'recipient')}`)
}

async function giveBack(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  const returned = await operations.expire(id, operatorName(), recipientOf(invocation))
  return done(
    invocation,
    { id, returned },
    `message ${id} is returned to its sender for ${plural(returned, 'recipient')}`,
  )
}

async function letGo(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  if (invocation.options.has('learn-ham')) {
    if (recipientOf(invocation) !== undefined) throw new UsageError('--learn-ham is about the message, not --recipient')
    const text = await operations.releaseAsHam(id, operatorName())
    return done(invocation, { id, done: text }, `message ${id} is ${text}`)
  }
  const released = await operations.release(id, operatorName(), recipientOf(invocation))
  return done(invocation, { id, released }, `message ${id} is back in ${released.join(', ')}`)
}

async function keepBack(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  const held = await operations.hold(id, operatorName(), recipientOf(invocation))
  return done(invocation, { id, held }, `message ${id} is held in ${held.join(', ')}`)
}

export function recipientOf({ options }: Invocation): string | undefined {
  return options.text('recipient')
}

function setPaused(invocation: Invocation, paused: boolean): Promise<number> {
  return withQueues(invocation, async (queues) => {
    const name = invocation.operands[0] ?? ''
    const names = workQueues(queues)
    if (!names.includes(name)) throw new UsageError(`there is no queue '${name}'; there are: ${names.join(' ')}`)
    await (paused ? queues.pause(name) : queues.resume(name))
    return done(invocation, { queue: name, paused }, `queue ${name} is ${paused ? 'paused' : 'running'}`)
  })
}
