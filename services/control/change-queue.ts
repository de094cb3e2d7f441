import { heldQueue } from '../../shared/queue/queues.ts'
import type { StageJob } from '../../shared/queue/job.ts'
import type { JobSummary } from '../../shared/queue/queues.ts'
import { workQueues } from '../../shared/report/read-queues.ts'
import { plural } from '../../shared/report/units.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { isFinal } from '../../shared/spool/spool.ts'
import type { OutcomeRecord } from '../../shared/spool/spool.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { messageFiles, messageIdOperand, operatorName, withQueues, withSystem } from './connect.ts'
import type { Place } from './connect.ts'

export const schedule: Command = {
  words: ['schedule'],
  operands: [{ name: 'ID|all', required: true }],
  summary: 'try a delayed message, or all of them, now',
  run: (invocation) => withSystem(invocation, (context) => runNow(invocation, context)),
}

export const remove: Command = {
  words: ['remove'],
  operands: [{ name: 'ID', required: true }],
  summary: 'drop a message for good: nothing is delivered, nothing is reported to its sender',
  run: (invocation) => withSystem(invocation, (context, place) => drop(invocation, context, place)),
}

export const release: Command = {
  words: ['release'],
  operands: [{ name: 'ID', required: true }],
  summary: 'let a held message go: into its queue, or on past the filter that kept it back',
  run: (invocation) => withSystem(invocation, (context) => letGo(invocation, context)),
}

export const hold: Command = {
  words: ['hold'],
  operands: [{ name: 'ID', required: true }],
  summary: 'keep a message in its queue until it is released',
  run: (invocation) => withSystem(invocation, (context) => keepBack(invocation, context)),
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

async function runNow(invocation: Invocation, context: ServiceContext): Promise<number> {
  const { queues, events } = context
  if (invocation.operands[0] === 'all') {
    let scheduled = 0
    for (const name of workQueues(queues)) scheduled += await queues.promote(name, 'all')
    return done(invocation, { scheduled }, `${plural(scheduled, 'message')} will be tried now`)
  }
  const id = messageIdOperand(invocation)
  const jobs = await unfinishedJobs(context, id)
  let scheduled = 0
  for (const job of jobs) scheduled += await queues.promote(job.queue, job.jobId)
  if (scheduled === 0) throw new ControlError(`message ${id} has no delayed job: ${jobs.map(describeJob).join(', ')}`)
  events.scheduled({ id, by: operatorName() })
  return done(invocation, { id, scheduled }, `message ${id} will be tried now`)
}

/** The outcome is on disk before the jobs go: a crash in between loses only the jobs, which nobody makes again. */
async function drop(invocation: Invocation, context: ServiceContext, place: Place): Promise<number> {
  const { queues, spool, events, clock } = context
  const id = messageIdOperand(invocation)
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  const active = jobs.find((job) => job.state === 'active')
  if (active !== undefined)
    throw new ControlError(`message ${id} is being worked on in queue ${active.queue}: pause the queue and try again`)
  const pending = await pendingRecipients(id, place)
  if (pending.length === 0 && jobs.length === 0)
    throw new ControlError(`message ${id} is neither in the spool nor in a queue`)
  const stage = jobs[0]?.data.held?.queue ?? jobs[0]?.queue ?? 'spool'
  const at = clock.now()
  const reason = `removed by ${operatorName()}`
  await spool.settle(
    pending.map((recipient) => ({ id, recipient, kind: 'removed', stage, at, reason }) satisfies OutcomeRecord),
  )
  events.removed({ id, by: operatorName() })
  const taken: string[] = []
  for (const job of jobs) if (!(await queues.remove(job.queue, job.jobId))) taken.push(job.jobId)
  if (taken.length > 0)
    throw new ControlError(`a worker took ${taken.join(', ')} at this moment: message ${id} may still go out`)
  return done(
    invocation,
    { id, removed: pending.length },
    `message ${id} is removed for ${plural(pending.length, 'recipient')}`,
  )
}

async function letGo(invocation: Invocation, context: ServiceContext): Promise<number> {
  const { queues, spool, events, clock } = context
  const id = messageIdOperand(invocation)
  const held = (await unfinishedJobs(context, id)).filter((job) => job.queue === heldQueue)
  if (held.length === 0) throw new ControlError(`message ${id} is not held`)
  for (const { jobId, data } of held) {
    const stage = data.held?.queue ?? heldQueue
    const at = clock.now()
    await spool.settle(
      data.rcpt.map(
        (recipient) => ({ id, recipient, kind: 'released', stage, at, ...quarantineOf(data) }) satisfies OutcomeRecord,
      ),
    )
    await queues.release(jobId)
    events.released({ id, stage, by: operatorName() })
  }
  const stages = held.map((job) => job.data.held?.queue ?? heldQueue)
  return done(invocation, { id, released: stages }, `message ${id} is back in ${stages.join(', ')}`)
}

function quarantineOf({ held }: StageJob): Pick<OutcomeRecord, 'quarantine'> {
  return held?.quarantine === undefined ? {} : { quarantine: held.quarantine }
}

/** The outcome comes first: a crash in between leaves a job that goes on, and a log that a rebuild reads as held. */
async function keepBack(invocation: Invocation, context: ServiceContext): Promise<number> {
  const { queues, spool, events, clock } = context
  const id = messageIdOperand(invocation)
  const jobs = (await unfinishedJobs(context, id)).filter((job) => job.queue !== heldQueue)
  if (jobs.length === 0) throw new ControlError(`message ${id} is held already`)
  const reason = `held by ${operatorName()}`
  const stages: string[] = []
  for (const { queue, jobId, data } of jobs) {
    const outcomes = (kind: 'held' | 'released'): readonly OutcomeRecord[] =>
      data.rcpt.map((recipient) => ({ id, recipient, kind, stage: queue, at: clock.now(), reason }))
    await spool.settle(outcomes('held'))
    if (await queues.hold(queue, jobId, reason)) {
      events.held({ id, stage: queue, reason })
      stages.push(queue)
    } else await spool.settle(outcomes('released'))
  }
  if (stages.length < jobs.length)
    throw new ControlError(`a worker has message ${id}: pause the queue and try again${heldSoFar(stages)}`)
  return done(invocation, { id, held: stages }, `message ${id} is held in ${stages.join(', ')}`)
}

function heldSoFar(stages: readonly string[]): string {
  return stages.length === 0 ? '' : `; held so far in ${stages.join(', ')}`
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

async function unfinishedJobs({ queues }: ServiceContext, id: MessageId): Promise<readonly JobSummary[]> {
  const jobs = (await queues.jobsOf(id)).filter((job) => job.state !== 'completed')
  if (jobs.length === 0)
    throw new ControlError(`message ${id} is in no queue; 'show message ${id}' tells where it went`)
  return jobs
}

async function pendingRecipients(id: MessageId, place: Place): Promise<readonly number[]> {
  const { find, outcomesOf } = messageFiles(place)
  const stored = await find(id)
  if (stored === undefined) return []
  const final = new Set((await outcomesOf(id)).filter(isFinal).map((outcome) => outcome.recipient))
  return [...stored.envelope.recipients.keys()].filter((recipient) => !final.has(recipient))
}

function describeJob(job: JobSummary): string {
  return `${job.queue} ${job.queue === heldQueue ? 'held' : job.state}`
}

function done({ terminal, options }: Invocation, facts: object, text: string): number {
  terminal.print(options.has('json') ? JSON.stringify(facts) : text)
  return exitCodes.done
}
