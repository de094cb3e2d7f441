import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'

import type { EventFilter, EventTail } from '../../shared/event-tail.ts'
import { eventRow } from './pages/events-page.ts'

/** The page Live, as it happens: server-sent events with a row of its table in each. Nothing is read while no page is open. */
export interface EventStream {
  /**
   * Takes over the response until the client goes, `mostMs` is over, or `close`; browsers come again by themselves. False: too many are open.
   * @param lastId of what the client has seen; absent, or of another process: it hears what comes
   */
  add(response: ServerResponse, filter: EventFilter, lastId: string | undefined): boolean
  /** The id of a place, for who has all up to there. */
  idOf(number: number): string
  close(): void
}

const mostClients = 64
/** A client that comes again shows anew that it has signed in. */
const usualMostMs = 300_000
/** Events in one write. */
const mostAtOnce = 100
const usualEveryMs = 500
const againMs = 2_000

interface Client {
  readonly response: ServerResponse
  readonly filter: EventFilter
  /** It has all up to there; undefined: nothing is known yet. */
  number: number | undefined
  /** It does not read: nothing is sent, and what it misses is counted. */
  isFull: boolean
  readonly timer: NodeJS.Timeout
}

export function createEventStream(
  tail: Pick<EventTail, 'after'>,
  { everyMs = usualEveryMs, mostMs = usualMostMs }: { readonly everyMs?: number; readonly mostMs?: number } = {},
): EventStream {
  const clients = new Set<Client>()
  /** Of this process: numbers of another mean nothing here. */
  const series = randomBytes(6).toString('hex')
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    for (const client of clients) await serve(client)
  }

  async function serve(client: Client): Promise<void> {
    const { response, filter } = client
    client.number ??= (await tail.after(Number.MAX_SAFE_INTEGER)).number
    if (client.isFull || response.destroyed) return
    const { events, number, missed } = await tail.after(client.number, filter)
    const [rows, later] = [events.slice(0, mostAtOnce), events[mostAtOnce]]
    client.number = later === undefined ? number : later.number - 1
    const parts = rows.map(
      (one) => `id: ${idOf(one.number)}\nevent: row\ndata: ${oneLine(eventRow(one.entry).text)}\n\n`,
    )
    if (missed > 0) parts.unshift(`event: missed\ndata: ${missed}\n\n`)
    if (parts.length === 0 || response.destroyed) return
    client.isFull = !response.write(parts.join(''))
  }

  function begin(): void {
    timer ??= setInterval(() => {
      looking ??= look()
        .catch(() => undefined)
        .finally(() => (looking = undefined))
    }, everyMs).unref()
  }

  function remove(client: Client): void {
    clearTimeout(client.timer)
    clients.delete(client)
    if (clients.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  const idOf = (number: number): string => `${series}.${number}`

  return {
    idOf,
    add(response, filter, lastId) {
      if (clients.size >= mostClients) return false
      // Whoever does not read would never come to the end, and keep the place of another.
      const end = setTimeout(() => (client.isFull ? response.destroy() : response.end()), mostMs).unref()
      const client: Client = { response, filter, number: numberOf(lastId, series), isFull: false, timer: end }
      clients.add(client)
      response.once('close', () => remove(client))
      response.on('drain', () => (client.isFull = false))
      client.isFull = !response.write(`retry: ${againMs}\n\n`)
      begin()
      return true
    },
    close() {
      for (const client of clients) {
        client.response.end()
        clearTimeout(client.timer)
      }
      clients.clear()
      clearInterval(timer)
      timer = undefined
    },
  }
}

function numberOf(id: string | undefined, series: string): number | undefined {
  const [, of, number] = /^([0-9a-f]+)\.(\d{1,15})$/.exec(id ?? '') ?? []
  return of === series ? Number(number) : undefined
}

/** A line feed would end the field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}
