import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'

import { parseEntry, withoutArrival } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import type { MessageEvent } from '../mail/event-names.ts'
import { JournalTail, journalFiles } from '../store/journal-tail.ts'

/** Octets that were read of each file of the journal. */
export type Positions = ReadonlyMap<string, number>

export interface EventsQuestion {
  /** Of the journal. */
  readonly folder: string
  readonly positions: Positions
  readonly events: readonly MessageEvent[]
  /** What happened before then (epoch ms) is counted and passed over. */
  readonly notBefore: number
}

/** What comes next: at most one request's worth, or what is passed over. */
export interface EventBatch {
  /** JSON of each event. */
  readonly events: readonly string[]
  /** The same for the same events. */
  readonly id: string
  /** Epoch ms; of the first and the last of them. */
  readonly oldestAt: number
  readonly newestAt: number
  readonly passedOver: { readonly count: number; readonly oldestAt: number }
  /** Behind all of that. */
  readonly positions: Positions
  /** There was no more. */
  readonly isAll: boolean
}

export const mostEvents = 100
const mostOctets = 256 * 1024
const readOctets = 1024 * 1024

/** Where the journal ends now: who begins there hears what comes. */
export function journalEnds(folder: string): Positions {
  const sizeOf = (name: string): number => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return new Map(journalFiles(folder).map((name) => [name, sizeOf(name)]))
}

/** Reads on from a position, about 1 MB at most. Blocks: for a thread. */
export function nextEvents({ folder, positions, events, notBefore }: EventsQuestion): EventBatch {
  const tail = new JournalTail(folder, positions)
  const wanted: ReadonlySet<string> = new Set(events)
  const reached = new Map(positions)
  const batch = new Batch(notBefore)
  const pieces = tail.read(readOctets, Date.now())
  for (const { name, from, position, lines } of pieces) {
    reached.set(name, from)
    for (const [index, { offset, text }] of lines.entries()) {
      const entry = wantedEntry(text, wanted)
      if (entry !== undefined && !batch.hasRoomFor(entry)) return batch.end(reached, false)
      if (entry !== undefined) batch.add(entry, `${name} ${offset}`)
      reached.set(name, lines[index + 1]?.offset ?? position)
    }
  }
  for (const name of tail.gone()) reached.delete(name)
  const octets = pieces.reduce((sum, { from, position }) => sum + position - from, 0)
  return batch.end(reached, octets < readOctets)
}

/** Nobody counts further. */
export const mostWaiting = 10_000

/** Events that a webhook has not taken, `mostWaiting` at most. Blocks: for a thread, or a command. */
export function countWaiting(question: Omit<EventsQuestion, 'notBefore'>): number {
  let waiting = 0
  let { positions } = question
  while (waiting < mostWaiting) {
    const batch = nextEvents({ ...question, positions, notBefore: 0 })
    waiting += batch.events.length
    positions = batch.positions
    if (batch.isAll) break
  }
  return Math.min(waiting, mostWaiting)
}

/** What a webhook has not read of one file of the journal. */
export interface Unread {
  /** Octets of the file that it had read, and those up to which was counted. */
  readonly from: number
  readonly upTo: number
  /** Events that it wants. */
  readonly count: number
  /** Epoch ms. */
  readonly oldestAt: number
}

export interface UnreadQuestion extends Omit<EventsQuestion, 'notBefore'> {
  /** The answer of before: what was counted is not read again. */
  readonly counted: ReadonlyMap<string, Unread>
}

/** What would be lost with each file of the journal, by its name. Blocks: for a thread. */
export function countUnread({ folder, positions, events, counted }: UnreadQuestion): ReadonlyMap<string, Unread> {
  const wanted: ReadonlySet<string> = new Set(events)
  const unread = new Map<string, Unread>()
  for (const name of journalFiles(folder)) {
    const from = positions.get(name) ?? 0
    const known = counted.get(name)
    unread.set(name, known?.from === from ? known : { from, upTo: from, count: 0, oldestAt: Number.POSITIVE_INFINITY })
  }
  const tail = new JournalTail(folder, new Map([...unread].map(([name, { upTo }]) => [name, upTo])))
  for (let pieces = tail.read(readOctets, 0); pieces.length > 0; pieces = tail.read(readOctets, 0)) {
    for (const { name, position, lines } of pieces) {
      const before = unread.get(name)
      if (before === undefined) continue
      const found = lines.flatMap(({ text }) => wantedEntry(text, wanted) ?? [])
      const oldestAt = found.reduce((oldest, { at }) => Math.min(oldest, at), before.oldestAt)
      unread.set(name, { ...before, upTo: position, count: before.count + found.length, oldestAt })
    }
  }
  return unread
}

const lineStart = /^\{"at":\d+,"event":"([^"]*)"/

/** Lines of other events are not parsed. */
function wantedEntry(line: string, wanted: ReadonlySet<string>): JournalEntry | undefined {
  const event = lineStart.exec(line)?.[1]
  if (event !== undefined && !wanted.has(event)) return undefined
  const entry = parseEntry(line)
  return entry !== undefined && wanted.has(entry.event) ? withoutArrival(entry) : undefined
}

class Batch {
  readonly #notBefore: number
  readonly #events: string[] = []
  readonly #ids = createHash('sha256')
  #octets = 0
  #oldestAt = Number.POSITIVE_INFINITY
  #newestAt = 0
  #passedOver = 0
  #oldestPassedAt = Number.POSITIVE_INFINITY

  constructor(notBefore: number) {
    this.#notBefore = notBefore
  }

  /** What is passed over does not wait for what is posted: a batch has one or the other. */
  hasRoomFor({ at }: JournalEntry): boolean {
    if (at < this.#notBefore) return this.#events.length === 0
    return this.#passedOver === 0 && this.#events.length < mostEvents && this.#octets < mostOctets
  }

  add(entry: JournalEntry, place: string): void {
    const { at } = entry
    if (at < this.#notBefore) {
      this.#passedOver += 1
      this.#oldestPassedAt = Math.min(this.#oldestPassedAt, at)
      return
    }
    const text = JSON.stringify({ eventId: shortHash(place), ...entry })
    this.#events.push(text)
    this.#ids.update(`${place}\n`)
    this.#octets += text.length
    this.#oldestAt = Math.min(this.#oldestAt, at)
    this.#newestAt = Math.max(this.#newestAt, at)
  }

  end(positions: Positions, isAll: boolean): EventBatch {
    return {
      events: this.#events,
      id: this.#ids.digest('hex').slice(0, 32),
      oldestAt: this.#oldestAt,
      newestAt: this.#newestAt,
      passedOver: { count: this.#passedOver, oldestAt: this.#oldestPassedAt },
      positions,
      isAll,
    }
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
