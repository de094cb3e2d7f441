import { isAbout, parseEntry } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { conditionOf } from './conditions.ts'
import type { Condition, NameTexts, Sql, Way } from './conditions.ts'
import { copyStates, kindNumber, messageKinds } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import { openForReading } from './database.ts'
import type { SqlValue, StoreDatabase } from './database.ts'
import type { ChosenCopy, ChosenMessage, ChosenMessages, FoundCopy, FoundMessage, FoundPage } from './found-message.ts'
import { JournalTail, lineAt } from './journal-tail.ts'
import { firstKeyOf, lastKeyOf, timeOf } from './message-key.ts'
import { auditedSince, openCopies, prepareOpen } from './open-copies.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import { firstRefused } from './message-draft.ts'
import { unpackPlaces } from './places.ts'
import type { Query } from './query.ts'
import { storePath } from './store-writer.ts'
import { trafficOf } from './traffic.ts'
import type { Traffic } from './traffic.ts'

export interface PageQuestion {
  readonly query: Query
  /** `next` of the page before it. */
  readonly before?: string
  readonly limit: number
}

export interface ChoiceQuestion {
  readonly query: Query
  readonly most: number
}

/** How many copies of accepted messages are in each state. */
export type CopySums = Readonly<Record<CopyState, number>>

const shownCopies = 5
const chosenAtOnce = 500
/** An index that has more for a search than this is not better than going through the messages from the newest on. */
const mostByIndex = 5_000

/** Answers questions about messages. Its calls block: for a thread, or a command. */
export class StoreReader {
  readonly #folder: string
  readonly #database: StoreDatabase

  /** @param folder of the journal. @throws when there is no store, or one of another version */
  constructor(folder: string) {
    this.#folder = folder
    this.#database = openForReading(storePath(folder))
  }

  close(): void {
    this.#database.close()
  }

  search({ query, before, limit }: PageQuestion): FoundPage {
    return this.#atOneMoment(() => {
      const { names, conditions, keys } = this.#find(query, before, limit + 1)
      const shown = keys.slice(0, limit)
      const copies = copiesAskedFor(conditions)
      const messages = shown.map((key) => this.#message(key, names, copies)).filter((one) => one !== undefined)
      const last = shown.at(-1)
      return { messages, ...(keys.length > limit && last !== undefined ? { next: String(last) } : {}) }
    })
  }

  /** All that a query finds, newest first, for what is done to all of it. */
  choose({ query, most }: ChoiceQuestion): ChosenMessages {
    return this.#atOneMoment(() => {
      const { conditions, keys } = this.#find(query, undefined, most + 1)
      const chosen = keys.slice(0, most)
      const copies = copiesAskedFor(conditions)
      const messages: ChosenMessage[] = []
      for (let start = 0; start < chosen.length; start += chosenAtOnce)
        messages.push(...this.#chosen(chosen.slice(start, start + chosenAtOnce), copies))
      return { messages, isCut: keys.length > most }
    })
  }

  /** How many a query finds, and no more than `most`. */
  count({ query, most }: ChoiceQuestion): number {
    return this.#atOneMoment(() => this.#find(query, undefined, most).keys.length)
  }

  /** The story of a message, by time: what the store knows the place of, and what the journal says since. */
  story(id: MessageId): readonly JournalEntry[] {
    const { files, packed } = this.#atOneMoment(() => ({ files: this.#files(), packed: this.#placesOf(id) }))
    const names = new Map(files.map(({ file, name }) => [file, name]))
    const entries: JournalEntry[] = []
    const add = (line: string | undefined): void => {
      const entry = line === undefined ? undefined : parseEntry(line)
      if (entry !== undefined && isAbout(entry, id)) entries.push(entry)
    }
    for (const { file, offset } of packed === undefined ? [] : unpackPlaces(packed)) {
      const name = names.get(file)
      if (name !== undefined) add(lineAt(this.#folder, name, offset))
    }
    const tail = new JournalTail(this.#folder, new Map(files.map(({ name, position }) => [name, position])))
    for (let pieces = tail.read(mostTailBytes, 0); pieces.length > 0; pieces = tail.read(mostTailBytes, 0)) {
      for (const { lines } of pieces) for (const { text } of lines) if (text.includes(id)) add(text)
    }
    return entries.sort((one, other) => one.at - other.at)
  }

  /** Octets of the journal that the store does not know yet. */
  behindBytes(): number {
    const positions = new Map(this.#files().map(({ name, position }) => [name, position]))
    return new JournalTail(this.#folder, positions).behindBytes()
  }

  /** Those of the messages that are known to be accepted since then; and those of whom nothing is known. */
  accepted(
    ids: readonly MessageId[],
    since: number,
  ): { readonly known: ReadonlySet<MessageId>; readonly unknown: ReadonlySet<MessageId> } {
    const byTime = this.#database
      .prepare('SELECT message, kind FROM messages WHERE message BETWEEN ? AND ? AND id = ?')
      .raw()
    const later = this.#database
      .prepare(`SELECT message, kind FROM messages WHERE kind = ${kindNumber('made')} AND id = ?`)
      .raw()
    const known = new Set<MessageId>()
    const unknown = new Set<MessageId>()
    for (const id of ids) {
      const at = acceptedAtOf(id)
      const row = (byTime.get(firstKeyOf(at), lastKeyOf(at), id) ?? later.get(id)) as
        | readonly [number, number]
        | undefined
      if (row === undefined || (row[1] !== kindNumber('received') && row[1] !== kindNumber('made'))) unknown.add(id)
      else if (row[0] >= firstKeyOf(since)) known.add(id)
    }
    return { known, unknown }
  }

  openCopies(question: OpenQuestion): OpenPage {
    return openCopies(prepareOpen(this.#database), question)
  }

  /** Since when the ledger would see each loss; absent: it does not look yet. */
  auditedSince(): number | undefined {
    return auditedSince(this.#database)
  }

  /** Of the messages accepted since then. */
  sums(since = 0): CopySums {
    const rows = this.#rows(
      `SELECT c.state, count(*) FROM copies c CROSS JOIN messages m ON m.message = c.message
       WHERE m.kind IN (${acceptedKinds}) AND c.message >= ? AND c.n < ${firstRefused} GROUP BY c.state`,
      firstKeyOf(since),
    ) as readonly [number, number][]
    const counts = new Map(rows)
    return Object.fromEntries(copyStates.map((state, number) => [state, counts.get(number) ?? 0])) as CopySums
  }

  /** @param sinceAt epoch ms */
  traffic(sinceAt: number): Traffic {
    return this.#atOneMoment(() => trafficOf(this.#database, sinceAt))
  }

  /** Runs the questions against one state of the database. */
  #atOneMoment<T>(ask: () => T): T {
    this.#database.exec('BEGIN')
    try {
      return ask()
    } finally {
      this.#database.exec('COMMIT')
    }
  }

  #rows(sql: string, ...values: readonly SqlValue[]): readonly unknown[] {
    return this.#database
      .prepare(sql)
      .raw()
      .all(...values)
  }

  #names(): NameTexts {
    return new Map(this.#rows('SELECT name, text FROM names') as readonly [number, string][])
  }

  #files(): readonly { readonly file: number; readonly name: string; readonly position: number }[] {
    const rows = this.#rows('SELECT file, name, position FROM files') as readonly [number, string, number][]
    return rows.map(([file, name, position]) => ({ file, name, position }))
  }

  #placesOf(id: MessageId): Uint8Array | undefined {
    const at = acceptedAtOf(id)
    const columns = 'SELECT places FROM messages WHERE'
    const [row] = [
      ...(this.#rows(`${columns} message BETWEEN ? AND ? AND id = ?`, firstKeyOf(at), lastKeyOf(at), id) as readonly [
        Uint8Array | null,
      ][]),
      ...(this.#rows(`${columns} kind = ${kindNumber('made')} AND id = ?`, id) as readonly [Uint8Array | null][]),
    ]
    return row?.[0] ?? undefined
  }

  /** Numbers of the messages that a query finds, the newest first; at most `limit`. */
  #find(
    query: Query,
    before: string | undefined,
    limit: number,
  ): { readonly names: NameTexts; readonly conditions: readonly Condition[]; readonly keys: readonly number[] } {
    const names = this.#names()
    const conditions = query.terms.map((term) => conditionOf(term, names))
    const range = rangeOf(query, before)
    const keys = new Set<number>()
    for (const way of this.#bestWays(conditions, range))
      for (const key of this.#keys(way, conditions, range, limit)) keys.add(key)
    const sorted = [...keys].sort((one, other) => other - one)
    return { names, conditions, keys: sorted.slice(0, limit) }
  }

  #chosen(keys: readonly number[], asked: Sql | undefined): readonly ChosenMessage[] {
    const rows = this.#rows(
      `SELECT c.message, m.id, c.n, c.state FROM copies c CROSS JOIN messages m ON m.message = c.message
       WHERE c.message IN (${keys.join(', ')})${asked === undefined ? '' : ` AND ${asked.text}`}`,
      ...(asked?.values ?? []),
    ) as readonly [number, MessageId, number, number][]
    const byKey = new Map<number, { readonly id: MessageId; readonly copies: ChosenCopy[] }>()
    for (const [key, id, n, state] of rows) {
      const known = byKey.get(key) ?? { id, copies: [] }
      byKey.set(key, known)
      known.copies.push({ n, state: copyStates[state] ?? 'queued' })
    }
    return keys.map((key) => byKey.get(key)).filter((one) => one !== undefined)
  }

  /** Those of the condition that the fewest messages are left by; all messages when none leaves few. */
  #bestWays(conditions: readonly Condition[], range: KeyRange): readonly Way[] {
    let best: readonly Way[] = [allMessages]
    let fewest = mostByIndex
    for (const { ways, isNever } of conditions) {
      if (isNever === true) return []
      if (ways.length === 0) continue
      const count = ways.reduce((sum, way) => sum + this.#count(way, range, fewest), 0)
      if (count >= fewest) continue
      best = ways
      fewest = count
    }
    return best
  }

  /** No more than `most`; where the index is not sorted, those of other times are counted along. */
  #count({ from, key, where, isSorted }: Way, { first, end }: KeyRange, most: number): number {
    const range = isSorted ? `AND ${key} >= ? AND ${key} < ?` : ''
    const [row] = this.#rows(
      `SELECT count(*) FROM (SELECT 1 FROM ${from} WHERE ${where.text} ${range} LIMIT ${most})`,
      ...where.values,
      ...(isSorted ? [first, end] : []),
    ) as readonly [number][]
    return row?.[0] ?? 0
  }

  #keys(
    { from, key, where }: Way,
    conditions: readonly Condition[],
    { first, end }: KeyRange,
    limit: number,
  ): number[] {
    const of = (kind: Condition['of']): readonly Sql[] =>
      conditions.filter((condition) => condition.of === kind).map((condition) => condition.where)
    const message = allOf(of('message'))
    const copy = allOf(of('copy'))
    const filters = [
      where,
      { text: `${key} >= ? AND ${key} < ?`, values: [first, end] },
      ...(message === undefined ? [] : [message]),
      ...(copy === undefined
        ? []
        : [
            {
              text: `EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND ${copy.text})`,
              values: copy.values,
            },
          ]),
    ]
    const rows = this.#rows(
      `SELECT DISTINCT ${key} FROM ${from} CROSS JOIN messages m ON m.message = ${key}
       WHERE ${filters.map(({ text }) => text).join(' AND ')} ORDER BY ${key} DESC LIMIT ${limit}`,
      ...filters.flatMap(({ values }) => values),
    ) as readonly [number][]
    return rows.map(([found]) => found)
  }

  #message(key: number, names: NameTexts, asked: Sql | undefined): FoundMessage | undefined {
    const [row] = this.#rows(
      `SELECT id, kind, sender, size, client, user, listener, header_id, tags,
         (SELECT count(*) FROM copies c WHERE c.message = m.message)
       FROM messages m WHERE message = ?`,
      key,
    ) as readonly MessageValues[]
    if (row === undefined) return undefined
    const [id, kind, sender, size, client, user, listener, headerId, tags, copyCount] = row
    const name = (number: number | null): string | null => (number === null ? null : (names.get(number) ?? ''))
    return {
      id,
      at: timeOf(key),
      kind: messageKinds[kind] ?? 'unknown',
      ...(sender === null ? {} : { from: sender === '' ? null : sender }),
      ...present({ sizeBytes: size, client, user, listener: name(listener), messageId: headerId }),
      tags: linesOf(name(tags)),
      copies: this.#copies(key, name, asked),
      copyCount,
    }
  }

  #copies(key: number, name: (number: number | null) => string | null, asked: Sql | undefined): readonly FoundCopy[] {
    const order = asked === undefined ? '' : `(${asked.text}) DESC,`
    const rows = this.#rows(
      `SELECT address, state, stage, rules, class, remote, next_at, at FROM copies c WHERE message = ?
       ORDER BY ${order} n LIMIT ${shownCopies}`,
      key,
      ...(asked?.values ?? []),
    ) as readonly CopyValues[]
    return rows.map(([mailbox, state, stage, rules, about, remote, nextAt, at]) => ({
      state: copyStates[state] ?? 'queued',
      at,
      rules: linesOf(name(rules)),
      ...present({ mailbox, queue: name(stage), class: name(about), remote, nextAt }),
    }))
  }
}

interface KeyRange {
  readonly first: number
  /** Not in it. */
  readonly end: number
}

type MessageValues = readonly [
  id: MessageId,
  kind: number,
  sender: string | null,
  size: number | null,
  client: string | null,
  user: string | null,
  listener: number | null,
  headerId: string | null,
  tags: number | null,
  copyCount: number,
]

type CopyValues = readonly [
  address: string | null,
  state: number,
  stage: number | null,
  rules: number | null,
  about: number | null,
  remote: string | null,
  nextAt: number | null,
  at: number,
]

const mostTailBytes = 4 * 1024 * 1024
const acceptedKinds = `${kindNumber('received')}, ${kindNumber('made')}`
const allMessages: Way = { from: 'messages k', key: 'k.message', where: { text: '1', values: [] }, isSorted: true }

function rangeOf({ after, before }: Query, cursor: string | undefined): KeyRange {
  const first = after === undefined ? 0 : firstKeyOf(after)
  const ends = [
    before === undefined ? Number.MAX_SAFE_INTEGER : firstKeyOf(before),
    cursor !== undefined && /^\d{1,16}$/.test(cursor) ? Number(cursor) : Number.MAX_SAFE_INTEGER,
  ]
  return { first, end: Math.min(...ends) }
}

/** What a query asks of one copy. */
function copiesAskedFor(conditions: readonly Condition[]): Sql | undefined {
  return allOf(conditions.filter(({ of }) => of === 'copy').map(({ where }) => where))
}

function allOf(some: readonly Sql[]): Sql | undefined {
  if (some.length === 0) return undefined
  return { text: some.map(({ text }) => `(${text})`).join(' AND '), values: some.flatMap(({ values }) => values) }
}

function linesOf(text: string | null): readonly string[] {
  return text === null || text === '' ? [] : text.split('\n')
}

type Present<Values> = { [Key in keyof Values]?: NonNullable<Values[Key]> }

/** Without what is null. */
function present<Values extends object>(values: Values): Present<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Present<Values>
}
