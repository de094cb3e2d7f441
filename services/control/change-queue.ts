import { schoolOf, teach } from '../../shared/classifier/teach.ts'
import { createOperations } from '../../shared/operate/operations.ts'
import type { OperationParts, Operations } from '../../shared/operate/operations.ts'
import { createSpoolLessons } from '../../shared/operate/spool-lessons.ts'
import { workQueues } from '../../shared/report/read-queues.ts'
import { plural } from '../../shared/report/units.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { messageFiles, messageIdOperand, operatorName, withQueues, withSystem } from './connect.ts'
import type { Place } from './connect.ts'

export const schedule: Command = {
  words: ['schedule'],
  operands: [{ name: 'ID|all', required: true }],
  summary: 'try a delayed message, or all of them, now',
  run: (invocation) => withOperations(invocation, (operations) => runNow(invocation, operations)),
}

export const remove: Command = {
  words: ['remove'],
  operands: [{ name: 'ID', required: true }],
  summary: 'drop a message for good: nothing is delivered, nothing is reported to its sender',
  run: (invocation) => withOperations(invocation, (operations) => drop(invocation, operations)),
}

export const release: Command = {
  words: ['release'],
  operands: [{ name: 'ID', required: true }],
  options: [{ name: 'learn-ham', summary: 'teach the classifier that it is wanted mail' }],
  summary: 'let a held message go: into its queue, or on past the filter that kept it back',
  run: (invocation) => withOperations(invocation, (operations) => letGo(invocation, operations)),
}

export const hold: Command = {
  words: ['hold'],
  operands: [{ name: 'ID', required: true }],
  summary: 'keep a message in its queue until it is released',
  run: (invocation) => withOperations(invocation, (operations) => keepBack(invocation, operations)),
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

function withOperations(invocation: Invocation, use: (operations: Operations) => Promise<number>): Promise<number> {
  return withSystem(invocation, (context, place) => use(createOperations(operationParts(context, place))))
}

function operationParts(context: ServiceContext, place: Place): OperationParts {
  const { configuration, dataFolder } = context
  const messages = messageFiles(place)
  const school = schoolOf(configuration)
  const lessons = createSpoolLessons({
    messages,
    teach: (content, lesson) => teach(dataFolder, content, lesson, school),
  })
  return { ...context, messages, lessons, delimiter: () => configuration.subAddressDelimiter }
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
  const removed = await operations.remove(id, operatorName())
  return done(invocation, { id, removed }, `message ${id} is removed for ${plural(removed, 'recipient')}`)
}

async function letGo(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  if (invocation.options.has('learn-ham')) {
    const text = await operations.releaseAsHam(id, operatorName())
    return done(invocation, { id, done: text }, `message ${id} is ${text}`)
  }
  const released = await operations.release(id, operatorName())
  return done(invocation, { id, released }, `message ${id} is back in ${released.join(', ')}`)
}

async function keepBack(invocation: Invocation, operations: Operations): Promise<number> {
  const id = messageIdOperand(invocation)
  const held = await operations.hold(id, operatorName())
  return done(invocation, { id, held }, `message ${id} is held in ${held.join(', ')}`)
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

function done({ terminal, options }: Invocation, facts: object, text: string): number {
  terminal.print(options.has('json') ? JSON.stringify(facts) : text)
  return exitCodes.done
}
