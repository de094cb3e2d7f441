import { describeLimit } from '../../shared/operate/queue-limits.ts'
import { systemClock } from '../../shared/clock.ts'
import { readHeartbeats } from '../../shared/heartbeat.ts'
import { flowsOf } from '../../shared/report/flow.ts'
import { defaultTargetMs, troubleOf } from '../../shared/report/queue-health.ts'
import type { QueueTrouble } from '../../shared/report/queue-health.ts'
import { readJobs, readQueues, workQueues } from '../../shared/report/read-queues.ts'
import { formatDuration, formatSize, plural } from '../../shared/report/units.ts'
import type { JobState, JobView, QueueView } from '../../shared/report/views.ts'
import type { Queues } from '../../shared/queue/queues.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { withQueues } from './connect.ts'
import type { Place } from './connect.ts'
import { smtpctlLines } from './smtpctl-lines.ts'
import { visible } from './terminal.ts'
import type { Colour, Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const defaultLimit = 100
const pageSize = 1_000
export const states: readonly JobState[] = ['active', 'waiting', 'delayed', 'held']

export const showQueue: Command = {
  words: ['show', 'queue'],
  operands: [{ name: 'QUEUE', required: false }],
  options: [
    { name: 'limit', value: 'N', summary: `messages shown of each queue and state (${defaultLimit}; 0: all)` },
    { name: 'smtpctl', summary: 'all of them, in the lines of `smtpctl show queue`' },
  ],
  summary: 'what waits where: numbers of all queues, then the messages',
  run: (invocation) => withQueues(invocation, (queues, place) => show(invocation, queues, place)),
}

async function show(invocation: Invocation, queues: Queues, place: Place): Promise<number> {
  const { terminal, options, operands } = invocation
  const asked = operands[0]
  const names = workQueues(queues).filter((name) => asked === undefined || name === asked)
  if (names.length === 0)
    throw new UsageError(`there is no queue '${asked}'; there are: ${workQueues(queues).join(' ')}`)
  const limit = limitOf(options.text('limit') ?? (options.has('smtpctl') ? '0' : undefined))
  const views = (await readQueues(queues)).filter((view) => names.includes(view.name))
  const jobs: JobView[] = []
  for (const name of names) for (const state of states) jobs.push(...(await readUpTo(queues, name, state, limit)))
  if (options.has('smtpctl')) {
    const nowAt = systemClock.now()
    for (const job of jobs) for (const line of smtpctlLines(job, place.configuration, nowAt)) terminal.print(line)
    return exitCodes.done
  }
  const advice = await adviceOn(views, place)
  if (options.has('json')) {
    terminal.print(JSON.stringify({ queues: views, advice, jobs }, undefined, 2))
    return exitCodes.done
  }
  for (const line of numbers(views, terminal)) terminal.print(line)
  for (const line of advice.flatMap((one) => troubleText(one, terminal))) terminal.print(line)
  for (const line of messages(jobs, terminal, Date.now())) terminal.print(line)
  const inside = views.reduce((sum, view) => sum + view.active + view.waiting + view.delayed + view.held, 0)
  if (inside > jobs.length) terminal.print(`and ${plural(inside - jobs.length, 'message')} more: --limit 0 shows all`)
  return exitCodes.done
}

interface Advice extends QueueTrouble {
  readonly queue: string
}

/** Of queues that are behind their targets: why, and what helps. */
async function adviceOn(views: readonly QueueView[], place: Place): Promise<readonly Advice[]> {
  const nowAt = systemClock.now()
  const flows = flowsOf(await readHeartbeats(place.dataFolder, nowAt), nowAt)
  return views.flatMap((view) => {
    const targetMs = place.configuration.pipeline.queues.get(view.name)?.targetMs ?? defaultTargetMs
    const trouble = troubleOf(view, flows.get(view.name), targetMs)
    return trouble === undefined ? [] : [{ queue: view.name, ...trouble }]
  })
}

function troubleText({ title, text, commands }: QueueTrouble, terminal: Terminal): readonly string[] {
  return ['', `${terminal.paint('red', title)} ${visible(text)}`, ...commands.map((command) => `    ${command}`)]
}

/** @throws UsageError */
export function limitOf(text: string | undefined): number {
  if (text === undefined) return defaultLimit
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--limit ${text}: a whole number is wanted`)
  return text === '0' ? Number.POSITIVE_INFINITY : Number(text)
}

export async function readUpTo(
  queues: Queues,
  name: string,
  state: JobState,
  limit: number,
): Promise<readonly JobView[]> {
  const found: JobView[] = []
  while (found.length < limit) {
    const wanted = Math.min(pageSize, limit - found.length)
    const page = await readJobs(queues, name, [state], { start: found.length, limit: wanted })
    found.push(...page)
    if (page.length < wanted) break
  }
  return found
}

function numbers(views: readonly QueueView[], terminal: Terminal): readonly string[] {
  return textTable(
    [
      { title: 'queue' },
      { title: 'waiting', align: 'right' },
      { title: 'active', align: 'right' },
      { title: 'delayed', align: 'right' },
      { title: 'held', align: 'right' },
      { title: 'oldest', align: 'right' },
      { title: '' },
    ],
    views.map((view) => [
      terminal.paint('bold', view.name),
      String(view.waiting),
      String(view.active),
      paintIf(terminal, 'yellow', view.delayed),
      paintIf(terminal, 'red', view.held) + (view.heldAtLeast === true ? '+' : ''),
      view.oldestAgeMs === undefined ? '-' : formatDuration(view.oldestAgeMs),
      [
        ...(view.paused ? [terminal.paint('yellow', 'paused')] : []),
        ...(view.limit === undefined
          ? []
          : [terminal.paint('yellow', `at most ${describeLimit(view.limit)} (${visible(view.limit.by)})`)]),
      ].join(', '),
    ]),
  )
}

function paintIf(terminal: Terminal, colour: Colour, count: number): string {
  return count === 0 ? '0' : terminal.paint(colour, String(count))
}

const stateColours: Readonly<Record<JobView['state'], Colour>> = {
  active: 'green',
  waiting: 'dim',
  delayed: 'yellow',
  held: 'red',
  done: 'green',
}

function messages(jobs: readonly JobView[], terminal: Terminal, nowAt: number): readonly string[] {
  if (jobs.length === 0) return ['', 'No messages.']
  const rows = jobs.map((job) => [
    job.id,
    job.queue,
    terminal.paint(stateColours[job.state], job.state),
    formatDuration(Math.max(0, nowAt - job.receivedAt)),
    formatSize(job.sizeBytes),
    visible(job.from ?? '<>'),
    visible(job.to.join(' ')),
    String(job.attempts),
    nextAttempt(job, nowAt),
    visible(job.reason ?? job.lastReply ?? ''),
  ])
  return [
    '',
    ...textTable(
      [
        { title: 'id' },
        { title: 'queue' },
        { title: 'state' },
        { title: 'age', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'from' },
        { title: 'to' },
        { title: 'tries', align: 'right' },
        { title: 'next', align: 'right' },
        { title: 'last reply or reason' },
      ],
      rows,
    ),
  ]
}

/** `in 6 min`; `now` when it is due. */
export function nextAttempt(job: JobView, nowAt: number): string {
  if (job.nextAt === undefined) return ''
  return job.nextAt <= nowAt ? 'now' : `in ${formatDuration(job.nextAt - nowAt)}`
}
