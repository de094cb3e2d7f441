import { lastDays } from '../../shared/received-reports/period.ts'
import { formatSize } from '../../shared/report/units.ts'
import { copyStates } from '../../shared/store/copy-state.ts'
import type { HourCounts } from '../../shared/store/hours.ts'
import type { RecipientDomain, Traffic } from '../../shared/store/traffic.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askStore, findPlace } from './connect.ts'
import { daysOf } from './days.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'
import type { Column } from './text-table.ts'

const usualDays = 1

export const showTraffic: Command = {
  words: ['show', 'traffic'],
  operands: [],
  options: [
    { name: 'days', value: 'N', summary: `of the last so many days of UTC, today included (${usualDays})` },
    { name: 'hours', summary: 'what came in each hour and what became of it, too' },
  ],
  summary: 'what became of mail, who signed in and sent, top senders, bounces, and where mail went; needs no Redis',
  run: show,
}

/** As the dashboard tells it, too. */
export interface TrafficSeen extends Traffic {
  readonly sinceAt: number
  readonly hours: readonly HourCounts[]
  readonly recipients: readonly RecipientDomain[]
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { sinceAt } = lastDays(daysOf(options.text('days'), usualDays), Date.now())
  const place = await findPlace(invocation)
  const seen = await askStore(place, async (store): Promise<TrafficSeen> => {
    const [hours, recipients] = [await store.hours(sinceAt), await store.recipientDomains(sinceAt)]
    return { sinceAt, hours, recipients, ...(await store.traffic(sinceAt)) }
  })
  if (options.has('json')) terminal.print(JSON.stringify(seen, undefined, 2))
  else for (const line of trafficText(seen, options.has('hours'))) terminal.print(line)
  return exitCodes.done
}

/** A block for each table that has rows. @param byHour one for the hours, too */
export function trafficText(seen: TrafficSeen, byHour: boolean): readonly string[] {
  const { hours, users, senders, failures, hosts, recipients, sinceAt } = seen
  if (hours.length === 0) return [`No mail since ${new Date(sinceAt).toISOString().slice(0, 10)}.`]
  const there = copyStates.filter((state) => hours.some(({ copies }) => (copies[state] ?? 0) > 0))
  const sum = (state: (typeof copyStates)[number]): number =>
    hours.reduce((all, { copies }) => all + (copies[state] ?? 0), 0)
  const blocks = [
    table(
      ['recipients by state', 'number'],
      there.map((state) => [state, sum(state)]),
    ),
    byHour
      ? table(
          ['hour (UTC)', ...there],
          hours.map(({ at, copies }) => [
            new Date(at).toISOString().slice(0, 16).replace('T', ' '),
            ...there.map((state) => copies[state] ?? 0),
          ]),
        )
      : [],
    table(
      ['signed in as', 'messages', 'recipients', 'failed', 'held'],
      users.map(({ user, messages, copies, failed, held }) => [user, messages, copies, failed, held]),
    ),
    table(
      ['sender', 'messages', 'size'],
      senders.map(({ sender, messages, sizeBytes }) => [sender, messages, formatSize(sizeBytes)]),
    ),
    table(
      ['bounces by domain', 'recipients', 'about'],
      failures.map(({ domain, copies, class: about }) => [domain, copies, about ?? 'not said']),
    ),
    table(
      ['bounces by host', 'recipients', 'about'],
      hosts.map(({ host, copies, class: about }) => [host ?? 'none: it ended here', copies, about ?? 'not said']),
    ),
    table(
      ['recipients at', 'number', 'failed'],
      recipients.map(({ domain, copies, failed }) => [domain, copies, failed]),
    ),
  ].filter((block) => block.length > 0)
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]))
}

/** Numbers and sizes to the right; what others wrote is made visible. */
function table(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): readonly string[] {
  if (rows.length === 0) return []
  const columns = titles.map((title, index): Column =>
    index === 0 || title === 'about' ? { title } : { title, align: 'right' },
  )
  return textTable(
    columns,
    rows.map((row) => row.map((cell) => visible(String(cell)))),
  )
}
