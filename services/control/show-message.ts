import { nextHost } from '../../shared/mail/next-host.ts'
import { isOpen, viewMessage } from '../../shared/report/message-view.ts'
import { readJobsOf } from '../../shared/report/read-queues.ts'
import { formatDuration, formatInstant, formatSecond, formatSize } from '../../shared/report/units.ts'
import { tellStory } from '../../shared/report/story.ts'
import type { StoryLine, Tone } from '../../shared/report/story.ts'
import type { FilterVerdict } from '../../shared/report/verdicts.ts'
import type { JobView, MessageView, RecipientState, Seen } from '../../shared/report/views.ts'
import { describeAddress } from '../../shared/queue/redis-address.ts'
import { ControlError, exitCodes, UsageError } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { connectQueues, findPlace, messageFiles, messageIdOperand } from './connect.ts'
import type { Place } from './connect.ts'
import { lineFeeds } from './line-feeds.ts'
import { nextAttempt } from './show-queue.ts'
import { printMessage } from './spool.ts'
import { visible } from './terminal.ts'
import type { Colour, Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const showMessage: Command = {
  words: ['show', 'message'],
  operands: [{ name: 'ID', required: true }],
  options: [{ name: 'smtpctl', summary: 'the message itself, as `smtpctl show message` prints it' }],
  summary: "a message's envelope, where each copy is, and its story; needs no Redis",
  run: show,
}

export const trace: Command = {
  words: ['trace'],
  operands: [{ name: 'ID', required: true }],
  summary: "a message's story alone, line by line",
  run: traceMessage,
}

async function traceMessage(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const id = messageIdOperand(invocation)
  const entries = await messageFiles(await findPlace(invocation), true).story(id)
  if (entries.length === 0) throw new ControlError(`the journal has no lines about message ${id}`)
  if (options.has('json')) terminal.print(JSON.stringify(entries, undefined, 2))
  else for (const line of story(tellStory(entries), terminal)) terminal.print(line.trimStart())
  return exitCodes.done
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const id = messageIdOperand(invocation)
  if (options.has('smtpctl') && options.has('json')) throw new UsageError('name one of: --smtpctl, --json')
  if (options.has('smtpctl')) return printMessage(invocation, lineFeeds)
  const place = await findPlace(invocation)
  const sources = { ...messageFiles(place, true), jobsOf: (one: string) => jobsOf(invocation, place, one) }
  const message = await viewMessage(sources, id)
  if (message === undefined) throw new ControlError(`nothing is known about message ${id}`)
  if (options.has('json')) terminal.print(JSON.stringify(message, undefined, 2))
  else for (const line of messageText(message, terminal, Date.now())) terminal.print(line)
  return exitCodes.done
}

export async function jobsOf(invocation: Invocation, place: Place, id: string): Promise<Seen<readonly JobView[]>> {
  const { queues, answers, address } = await connectQueues(invocation, place)
  try {
    if (!answers) return { kind: 'away', reason: `Redis does not answer on ${describeAddress(address)}` }
    return { kind: 'seen', value: await readJobsOf(queues, id) }
  } catch (error) {
    return { kind: 'away', reason: (error as Error).message }
  } finally {
    await queues.close()
  }
}

/** The whole of what is known, for a terminal. */
export function messageText(message: MessageView, terminal: Terminal, nowAt: number): readonly string[] {
  return [
    terminal.paint('bold', message.id),
    ...textTable([{}, {}], facts(message, nowAt)),
    '',
    heading(terminal, 'recipients'),
    ...recipients(message, terminal),
    ...jobs(message, terminal, nowAt),
    ...message.verdicts.flatMap((verdict) => ['', heading(terminal, 'filter'), ...verdictText(verdict)]),
    ...(message.edits.length === 0 ? [] : ['', heading(terminal, 'header edits')]),
    ...(message.stages.length === 0 ? message.edits.map((edit) => `  ${visible(edit)}`) : stages(message, terminal)),
    ...(message.talk.length === 0 ? [] : ['', heading(terminal, 'smtp')]),
    ...message.talk.map((line) => `  ${visible(line)}`),
    ...message.nextTalks.flatMap(({ host, lines }) => [
      '',
      heading(terminal, `smtp with ${visible(host ?? 'the next hop')}`),
      ...lines.map((line) => `  ${visible(line)}`),
    ]),
    '',
    heading(terminal, 'story'),
    ...story(message.story, terminal),
  ]
}

function facts(message: MessageView, nowAt: number): readonly (readonly string[])[] {
  const age = formatDuration(Math.max(0, nowAt - message.acceptedAt))
  const rows: (readonly string[])[] = [
    ['  from', visible(message.from ?? '<>')],
    ['  accepted', `${formatSecond(message.acceptedAt)}, ${age} ago`],
  ]
  if (message.sizeBytes !== undefined) rows.push(['  size', formatSize(message.sizeBytes)])
  if (message.tags.length > 0) rows.push(['  tags', visible(message.tags.join(' '))])
  rows.push([
    '  content',
    message.knownFrom === 'spool' ? 'in the spool' : 'has left the spool; this is from the journal',
  ])
  return [...rows, ...message.origin.map((field) => [`  ${field.name}`, visible(field.value)])]
}

const stateColours: Readonly<Record<RecipientState, Colour>> = {
  delivered: 'green',
  relayed: 'green',
  failed: 'red',
  discarded: 'red',
  removed: 'red',
  held: 'red',
  delayed: 'yellow',
  active: 'green',
  waiting: 'dim',
  accepted: 'dim',
}

function recipients(message: MessageView, terminal: Terminal): readonly string[] {
  const rows = message.recipients.map((recipient) => [
    `  ${visible(recipient.mailbox)}${recipient.original === undefined ? '' : ` (given as ${visible(recipient.original)})`}`,
    terminal.paint(stateColours[recipient.state], recipient.state),
    recipient.at === undefined ? '' : formatSecond(recipient.at),
    visible(recipient.detail ?? ''),
  ])
  return rows.length === 0 ? ['  unknown'] : textTable([{}, {}, {}, {}], rows)
}

function jobs({ jobs }: MessageView, terminal: Terminal, nowAt: number): readonly string[] {
  if (jobs.kind === 'away') return ['', terminal.paint('yellow', `queues not seen: ${visible(jobs.reason)}`)]
  const open = jobs.value.filter(isOpen)
  if (open.length === 0) return []
  const rows = open.map((job) => [
    `  ${job.queue}`,
    job.state,
    `tries ${job.attempts}`,
    nextAttempt(job, nowAt),
    visible(wayOf(job)),
    job.jobId,
  ])
  return ['', heading(terminal, 'in the queues'), ...textTable([{}, {}, {}, {}, {}, {}], rows)]
}

function verdictText({ verdict, score, reason, tests, authentication }: FilterVerdict): readonly string[] {
  const found = tests.map(({ name, score: own, text }) => [`  ${visible(name)}`, String(own), visible(text)])
  const proven = authentication.map(({ method, result, detail }) => [`  ${method}`, result, visible(detail)])
  return [
    `  ${visible([verdict, score === undefined ? '' : `score ${score}`, reason ?? ''].filter((one) => one !== '').join(', '))}`,
    ...textTable([{}, { align: 'right' }, {}], found),
    ...textTable([{}, {}, {}], proven),
  ]
}

const marks = { added: '+', removed: '-', changed: '~', other: ' ' } as const

function stages({ stages }: MessageView, terminal: Terminal): readonly string[] {
  return stages.flatMap(({ stage, changes }) => [
    `  ${terminal.paint('dim', visible(stage))}`,
    ...changes.map(({ kind, text }) => `  ${marks[kind]} ${visible(text)}`),
  ])
}

/** Its lane, where that is another's too. */
function wayOf({ destination = '', lane }: JobView): string {
  return lane === undefined || lane === nextHost(destination) ? destination : `${destination} by lane ${lane}`
}

const toneColours: Readonly<Record<Tone, Colour | undefined>> = {
  good: 'green',
  waiting: 'yellow',
  bad: 'red',
  plain: undefined,
}

function story(lines: readonly StoryLine[], terminal: Terminal): readonly string[] {
  if (lines.length === 0) return ['  the journal has no lines about it']
  return lines.map(({ at, text, tone }) => {
    const colour = toneColours[tone]
    const shown = visible(text)
    return `  ${terminal.paint('dim', formatInstant(at))}  ${colour === undefined ? shown : terminal.paint(colour, shown)}`
  })
}

function heading(terminal: Terminal, text: string): string {
  return terminal.paint('bold', text)
}
