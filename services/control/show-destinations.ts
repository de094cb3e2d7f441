import { readDestinationBook, totalOf } from '../../shared/destinations/read-book.ts'
import type { DestinationHistory, SeenTls } from '../../shared/destinations/known.ts'
import { nextHost } from '../../shared/mail/next-host.ts'
import { readDestinations } from '../../shared/report/destinations.ts'
import type { DestinationView } from '../../shared/report/destinations.ts'
import { formatDuration, formatSecond } from '../../shared/report/units.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, withQueues } from './connect.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'
import type { Column } from './text-table.ts'

export const showDestinations: Command = {
  words: ['show', 'destinations'],
  operands: [{ name: 'NAME', required: false }],
  options: [],
  summary:
    'where mail goes out to: what waits, what was sent and refused in 24 hours, TLS; of one, by the hour and by what it said',
  run: show,
}

/** Of each state so many jobs are looked at. */
const lookedAt = 1_000

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const place = await findPlace(invocation)
  const nowAt = Date.now()
  const book = await readDestinationBook(place.dataFolder, nowAt)
  const [name] = operands
  if (name !== undefined) {
    const history = book.get(nextHost(name))
    if (history === undefined) throw new ControlError(`no mail went to ${name} in the last 24 hours`)
    if (options.has('json')) terminal.print(JSON.stringify(history, undefined, 2))
    else for (const line of historyText(history, nowAt, terminal)) terminal.print(line)
    return exitCodes.done
  }
  return withQueues(invocation, async (queues) => {
    const seen = await readDestinations(queues, { book, limit: lookedAt })
    if (options.has('json')) terminal.print(JSON.stringify(seen, undefined, 2))
    else for (const line of listText(seen.destinations, nowAt, terminal)) terminal.print(line)
    return exitCodes.done
  })
}

export function listText(
  destinations: readonly DestinationView[],
  nowAt: number,
  terminal: Terminal,
): readonly string[] {
  if (destinations.length === 0) return ['No mail is on its way out, and none went out in the last 24 hours.']
  const rows = destinations.map(({ name, waiting, active, delayed, oldestAt, day, history, aloneForMs, ...said }) => [
    terminal.paint('bold', visible(name)),
    String(waiting + active),
    String(delayed),
    oldestAt === undefined ? '' : formatDuration(nowAt - oldestAt),
    String(day?.sent ?? 0),
    String(day?.later ?? 0),
    day === undefined || day.refused === 0 ? '0' : terminal.paint('red', String(day.refused)),
    securedBy(history?.tls),
    aloneForMs === undefined ? '' : `left alone for ${formatDuration(aloneForMs)}`,
    visible(said.lastReply ?? ''),
  ])
  const columns: readonly Column[] = [
    { title: 'destination' },
    right('waiting'),
    right('delayed'),
    right('oldest'),
    right('sent, 24 h'),
    right('put off'),
    right('refused'),
    { title: 'TLS' },
    { title: '' },
    { title: 'it said' },
  ]
  return textTable(columns, rows)
}

export function historyText(history: DestinationHistory, nowAt: number, terminal: Terminal): readonly string[] {
  const { sent, later, refused } = totalOf(history)
  const { policy, tls } = history
  const hours = history.hours.map((hour) => [
    `  ${formatSecond(hour.at).slice(0, 13)}h`,
    String(hour.sent),
    String(hour.later),
    String(hour.refused),
  ])
  const refusals = history.refusals.map(({ replyClass, times, reply, host, at }) => [
    `  ${terminal.paint('bold', replyClass)}`,
    `${times} times`,
    `${formatDuration(nowAt - at)} ago`,
    visible(host ?? ''),
    visible(reply),
  ])
  return [
    `${terminal.paint('bold', visible(history.name))}: ${sent} sent, ${later} put off, ${refused} refused in 24 hours`,
    `TLS: ${securedBy(tls) || 'no host has answered'}${policyText(policy)}`,
    ...textTable([{ title: '  hour' }, right('sent'), right('put off'), right('refused')], hours),
    ...textTable([{}, {}, {}, {}, {}], refusals),
  ]
}

function securedBy(tls: SeenTls | undefined): string {
  if (tls === undefined) return ''
  if (tls.session === undefined) return tls.unused === true ? 'plain text, TLS offered' : 'plain text'
  return `${tls.session.split(' ')[0]} ${tls.trust ?? 'unverified'}`
}

function policyText(policy: DestinationHistory['policy']): string {
  if (policy === undefined || policy.type === 'none') return ''
  const name = policy.type === 'dane' ? 'DANE' : 'MTA-STS'
  return policy.failure === undefined
    ? `, ${name} demanded`
    : `, ${name} demanded and not met: ${visible(policy.failure)}`
}

function right(title: string): Column {
  return { title, align: 'right' }
}
