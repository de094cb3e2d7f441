import { isAbout, parseEntry } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import type { MessageId } from '../mail/message-id.ts'
import { conditionOf } from './conditions.ts'
import type { Condition, NameTexts } from './conditions.ts'
import { copyStates, isAcceptedKind, kindNumber, messageKinds } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import type { ChosenCopy, ChosenMessage, ChosenMessages, FoundCopy, FoundMessage, FoundPage } from './found-message.ts'
import { hoursOf } from './hours.ts'
import type { HourCounts } from './hours.ts'
import { JournalTail } from './journal-tail.ts'
import { firstKeyOf, timeOf } from './message-key.ts'
import { auditedSince, openCopies } from './open-copies.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import { firstRefused } from './message-draft.ts'
import type { Query } from './query.ts'
import { copyColumns, messageColumns } from './row-columns.ts'
import type { CopyColumns, MessageColumns } from './row-columns.ts'
import type { Dialect, Rows, Sql, Way } from './sql.ts'
import type { ReadableStore } from './store-database.ts'
import { recipientDomainsOf, trafficOf } from './traffic.ts'
import type { RecipientDomain, Traffic } from './traffic.ts'

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
/** An index that has more for a search than this is not better than going through the messages from the newest on. */
const mostByIndex = 5_000
/** Rows of an index that are looked at, one piece after the other, for each message that is wanted. */
const pieces: readonly number[] = [20, 160]
/** Messages that are read by one question. */
const atOnce = 200

/** Answers questions about messages. */
export class StoreReader {
  readonly #folder: string
  readonly #store: ReadableStore

  /** @param folder of the journal */
  constructor(folder: string, store: ReadableStore) {
    this.#folder = folder
    this.#store = store
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  search({ query, before, limit }: PageQuestion): Promise<FoundPage> {
    return this.#searched((search) => search.page(query, before, limit))
  }

  /** All that a query finds, newest first, for what is done to all of it. */
  choose({ query, most }: ChoiceQuestion): Promise<ChosenMessages> {
    return this.#searched((search) => search.all(query, most))
  }

  /** How many a query finds, and no more than `most`. */
  count({ query, most }: ChoiceQuestion): Promise<number> {
    return this.#searched((search) => search.count(query, most))
  }

  /** The story of a message, by time: what the store knows, and what the journal of this host says since. */
  async story(id: MessageId): Promise<readonly JournalEntry[]> {
    const { lines: known, positions } = await this.#store.story(id)
    const entries: JournalEntry[] = []
    const add = (line: string): void => {
      const entry = parseEntry(line)
      if (entry !== undefined && isAbout(entry, id)) entries.push(entry)
    }
    for (const line of known) add(line)
    const tail = new JournalTail(this.#folder, positions)
    for (let pieces = tail.read(mostTailBytes, 0); pieces.length > 0; pieces = tail.read(mostTailBytes, 0)) {
      for (const { lines } of pieces) for (const { text } of lines) if (text.includes(id)) add(text)
    }
    return entries.sort((one, other) => one.at - other.at)
  }

  /** Octets of the journal that the store does not know yet. */
  async behindBytes(): Promise<number> {
    return new JournalTail(this.#folder, await this.#store.positions()).behindBytes()
  }

  /** Those of the messages that are known to be accepted since then; and those of whom nothing is known. */
  async accepted(
    ids: readonly MessageId[],
    since: number,
  ): Promise<{ readonly known: ReadonlySet<MessageId>; readonly unknown: ReadonlySet<MessageId> }> {
    const kinds = await this.#store.kinds(ids)
    const known = new Set<MessageId>()
    const unknown = new Set<MessageId>()
    for (const id of ids) {
      const found = kinds.get(id)
      if (found === undefined || !isAcceptedKind(found.kind)) unknown.add(id)
      else if (found.key >= firstKeyOf(since)) known.add(id)
    }
    return { known, unknown }
  }

  openCopies(question: OpenQuestion): Promise<OpenPage> {
    return this.#store.atOneMoment((rows) => openCopies(rows, this.#store.dialect, question))
  }

  /** Since when the ledger would see each loss; absent: it does not look yet. */
  auditedSince(): Promise<number | undefined> {
    return this.#store.atOneMoment((rows) => auditedSince(rows, this.#store.dialect))
  }

  /** Of the messages that this host accepted since then. */
  async sums(since = 0): Promise<CopySums> {
    const { join, isOwn } = this.#store.dialect
    const counted = (await this.#store.atOneMoment((rows) =>
      rows(
        `SELECT c.state, count(*) FROM copies c ${join} messages m ON m.message = c.message
         WHERE m.kind IN (${acceptedKinds}) AND c.message >= ? AND c.n < ${firstRefused} AND ${isOwn.text}
         GROUP BY c.state`,
        firstKeyOf(since),
        ...isOwn.values,
      ),
    )) as readonly [number, number][]
    const counts = new Map(counted)
    return Object.fromEntries(copyStates.map((state, number) => [state, counts.get(number) ?? 0])) as CopySums
  }

  /** @param sinceAt epoch ms */
  traffic(sinceAt: number): Promise<Traffic> {
    return this.#store.atOneMoment((rows) => trafficOf(rows, this.#store.dialect, sinceAt))
  }

  /** @param sinceAt epoch ms */
  hours(sinceAt: number): Promise<readonly HourCounts[]> {
    return this.#store.atOneMoment((rows) => hoursOf(rows, sinceAt))
  }

  /** @param sinceAt epoch ms */
  recipientDomains(sinceAt: number): Promise<readonly RecipientDomain[]> {
    return this.#store.atOneMoment((rows) => recipientDomainsOf(rows, this.#store.dialect, sinceAt))
  }

  #searched<T>(ask: (search: Search) => Promise<T>): Promise<T> {
    return this.#store.atOneMoment((rows) => ask(new Search(rows, this.#store.dialect)))
  }
}

/** Looks for messages in one state of the database. */
class Search {
  readonly #rows: Rows
  readonly #dialect: Dialect

  constructor(rows: Rows, dialect: Dialect) {
    this.#rows = rows
    this.#dialect = dialect
  }

  async page(query: Query, before: string | undefined, limit: number): Promise<FoundPage> {
    const { names, conditions, keys } = await this.#find(query, before, limit + 1)
    const shown = keys.slice(0, limit)
    const copies = copiesAskedFor(conditions)
    const messages: FoundMessage[] = []
    for (let start = 0; start < shown.length; start += atOnce)
      messages.push(...(await this.#messages(shown.slice(start, start + atOnce), names, copies)))
    const last = shown.at(-1)
    return { messages, ...(keys.length > limit && last !== undefined ? { next: String(last) } : {}) }
  }

  async all(query: Query, most: number): Promise<ChosenMessages> {
    const { conditions, keys } = await this.#find(query, undefined, most + 1)
    const chosen = keys.slice(0, most)
    const copies = copiesAskedFor(conditions)
    const messages: ChosenMessage[] = []
    for (let start = 0; start < chosen.length; start += atOnce)
      messages.push(...(await this.#chosen(chosen.slice(start, start + atOnce), copies)))
    return { messages, isCut: keys.length > most }
  }

  async count(query: Query, most: number): Promise<number> {
    return (await this.#find(query, undefined, most)).keys.length
  }

  /** Numbers of the messages that a query finds, the newest first; at most `limit`. */
  async #find(
    query: Query,
    before: string | undefined,
    limit: number,
  ): Promise<{
    readonly names: NameTexts
    readonly conditions: readonly Condition[]
    readonly keys: readonly number[]
  }> {
    const names = new Map((await this.#rows('SELECT name, text FROM names')) as readonly [number, string][])
    const conditions = query.terms.map((term) => conditionOf(this.#dialect, term, names))
    const range = rangeOf(query, before)
    const { ways, areFew } = await this.#bestWays(conditions, range)
    const keys = new Set<number>()
    for (const way of ways) {
      const found = areFew
        ? await this.#keys(way, conditions, range, limit)
        : await this.#newestKeys(way, conditions, range, limit)
      for (const key of found) keys.add(key)
    }
    const sorted = [...keys].sort((one, other) => other - one)
    return { names, conditions, keys: sorted.slice(0, limit) }
  }

  /** Those of the condition that the fewest messages are left by; when none leaves few, the one that leaves the fewest of the newest. */
  async #bestWays(
    conditions: readonly Condition[],
    range: KeyRange,
  ): Promise<{ readonly ways: readonly Way[]; readonly areFew: boolean }> {
    let few: readonly Way[] | undefined
    let fewest = mostByIndex
    for (const { ways, isNever } of conditions) {
      if (isNever === true) return { ways: [], areFew: true }
      if (ways.length === 0) continue
      let count = 0
      for (const way of ways) count += await this.#count(way, range, fewest)
      if (count >= fewest) continue
      few = ways
      fewest = count
    }
    return few === undefined
      ? { ways: [await this.#sparsest(conditions, range)], areFew: false }
      : { ways: few, areFew: true }
  }

  /** Whose newest messages reach back farthest. */
  async #sparsest(conditions: readonly Condition[], range: KeyRange): Promise<Way> {
    let sparsest = allMessages
    if (conditions.length < 2) return sparsest
    let lowest = Number.POSITIVE_INFINITY
    for (const { ways } of conditions) {
      const [way, ...others] = ways
      if (way?.isSorted !== true || others.length > 0) continue
      const key = (await this.#keyBehind(way, range, mostByIndex)) ?? 0
      if (key >= lowest) continue
      sparsest = way
      lowest = key
    }
    return sparsest
  }

  /** The key of the last of so many rows, the newest first; absent: there are fewer. */
  async #keyBehind({ from, key, where }: Way, { first, end }: KeyRange, count: number): Promise<number | undefined> {
    const [row] = (await this.#rows(
      `SELECT ${key} FROM ${from} WHERE ${where.text} AND ${key} >= ? AND ${key} < ?
       ORDER BY ${key} DESC LIMIT 1 OFFSET ${count - 1}`,
      ...where.values,
      first,
      end,
    )) as readonly [number][]
    return row?.[0]
  }

  /**
   * As `keys`, where every way leads to many. Of several things that are asked the newest of one are mostly enough: looking through all, a
   * planner would begin with what it takes for rare.
   */
  async #newestKeys(
    way: Way,
    conditions: readonly Condition[],
    { first, end }: KeyRange,
    limit: number,
  ): Promise<readonly number[]> {
    const keys: number[] = []
    let before = end
    for (const rows of conditions.length > 1 ? pieces : []) {
      const from = await this.#keyBehind(way, { first, end: before }, rows * limit)
      const piece = { first: from ?? first, end: before }
      keys.push(...(await this.#keys(way, conditions, piece, limit - keys.length)))
      if (from === undefined || keys.length >= limit) return keys
      before = from
    }
    return [...keys, ...(await this.#keys(allMessages, conditions, { first, end: before }, limit - keys.length))]
  }

  /** No more than `most`; where the index is not sorted, those of other times are counted along. */
  async #count({ from, key, where, isSorted }: Way, { first, end }: KeyRange, most: number): Promise<number> {
    const range = isSorted ? `AND ${key} >= ? AND ${key} < ?` : ''
    const [row] = (await this.#rows(
      `SELECT count(*) FROM (SELECT 1 FROM ${from} WHERE ${where.text} ${range} LIMIT ${most}) AS found`,
      ...where.values,
      ...(isSorted ? [first, end] : []),
    )) as readonly [number][]
    return row?.[0] ?? 0
  }

  /** The newest of those that a way leads to, or of all messages. */
  async #keys(
    way: Way,
    conditions: readonly Condition[],
    { first, end }: KeyRange,
    limit: number,
  ): Promise<readonly number[]> {
    const { join, hasCopy, fence } = this.#dialect
    const of = (kind: Condition['of']): readonly Sql[] =>
      conditions.filter((condition) => condition.of === kind).map((condition) => condition.where)
    const message = allOf(of('message')) ?? always
    const copy = allOf(of('copy'))
    const asked = [message, copy === undefined ? always : { text: hasCopy(copy.text), values: copy.values }]
    const { from, key, where } = way
    const found = [where, { text: `${key} >= ? AND ${key} < ?`, values: [first, end] }]
    const text =
      way === allMessages
        ? `SELECT m.message FROM messages m WHERE ${andOf([...found, ...asked])} ORDER BY m.message DESC LIMIT ${limit}`
        : `SELECT DISTINCT k.message FROM (SELECT ${key} AS message FROM ${from} WHERE ${andOf(found)} ${fence}) AS k
           ${join} messages m ON m.message = k.message
           WHERE ${andOf(asked)} ORDER BY k.message DESC LIMIT ${limit}`
    const rows = await this.#rows(text, ...[...found, ...asked].flatMap(({ values }) => values))
    return (rows as readonly [number][]).map(([number]) => number)
  }

  /** In their order. */
  async #messages(keys: readonly number[], names: NameTexts, asked: Sql | undefined): Promise<readonly FoundMessage[]> {
    const name = (number: number | null): string | null => (number === null ? null : (names.get(number) ?? ''))
    const found = (await this.#rows(
      `SELECT message, id, ${this.#dialect.hostName}, (SELECT count(*) FROM copies c WHERE c.message = m.message),
         ${messageColumns}
       FROM messages m WHERE message IN (${marks(keys)})`,
      ...keys,
    )) as readonly MessageValues[]
    const copies = await this.#copies(keys, name, asked)
    const messages = new Map(found.map((row) => [row[0], messageOf(row, name, copies.get(row[0]) ?? [])]))
    return keys.map((key) => messages.get(key)).filter((message) => message !== undefined)
  }

  /** In their order, with the copies that are asked for. */
  async #chosen(keys: readonly number[], asked: Sql | undefined): Promise<readonly ChosenMessage[]> {
    const rows = (await this.#rows(
      `SELECT c.message, m.id, c.n, c.state FROM copies c ${this.#dialect.join} messages m ON m.message = c.message
       WHERE c.message IN (${marks(keys)})${asked === undefined ? '' : ` AND ${asked.text}`} ORDER BY c.message, c.n`,
      ...keys,
      ...(asked?.values ?? []),
    )) as readonly [number, MessageId, number, number][]
    const byKey = new Map<number, { readonly id: MessageId; readonly copies: ChosenCopy[] }>()
    for (const [key, id, n, state] of rows) {
      const known = byKey.get(key) ?? { id, copies: [] }
      byKey.set(key, known)
      known.copies.push({ n, state: copyStates[state] ?? 'queued' })
    }
    return keys.map((key) => byKey.get(key)).filter((one) => one !== undefined)
  }

  /** Of each message the first, those that were asked for before the others. */
  async #copies(
    keys: readonly number[],
    name: NameOf,
    asked: Sql | undefined,
  ): Promise<ReadonlyMap<number, readonly FoundCopy[]>> {
    const order = asked === undefined ? '' : `coalesce((${asked.text}), false) DESC,`
    const rows = (await this.#rows(
      `SELECT message, ${copyColumns} FROM (
         SELECT c.*, row_number() OVER (PARTITION BY c.message ORDER BY ${order} c.n) AS place
         FROM copies c WHERE c.message IN (${marks(keys)})
       ) AS shown WHERE place <= ${shownCopies} ORDER BY message, place`,
      ...(asked?.values ?? []),
      ...keys,
    )) as readonly CopyValues[]
    const copies = new Map<number, FoundCopy[]>()
    for (const row of rows) {
      const known = copies.get(row[0])
      if (known === undefined) copies.set(row[0], [copyOf(row, name)])
      else known.push(copyOf(row, name))
    }
    return copies
  }
}

type NameOf = (number: number | null) => string | null

function messageOf(row: MessageValues, name: NameOf, copies: readonly FoundCopy[]): FoundMessage {
  const [key, id, host, copyCount, kind, sender, size, client, user, listener, headerId, tags, subject] = row
  return {
    id,
    at: timeOf(key),
    kind: messageKinds[kind] ?? 'unknown',
    ...(sender === null ? {} : { from: sender === '' ? null : sender }),
    ...present({ sizeBytes: size, client, user, listener: name(listener), messageId: headerId, subject, host }),
    tags: linesOf(name(tags)),
    copies,
    copyCount,
  }
}

/** Of what was said in all attempts. */
function lastOf(remote: string | null): string | null {
  return remote === null ? null : (remote.split('\n', 1)[0] ?? null)
}

function copyOf([, mailbox, state, stage, rules, about, remote, nextAt, at]: CopyValues, name: NameOf): FoundCopy {
  return {
    state: copyStates[state] ?? 'queued',
    at,
    rules: linesOf(name(rules)),
    ...present({ mailbox, queue: name(stage), class: name(about), remote: lastOf(remote), nextAt }),
  }
}

function marks(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ')
}

interface KeyRange {
  readonly first: number
  /** Not in it. */
  readonly end: number
}

type MessageValues = readonly [
  key: number,
  id: MessageId,
  host: string | null,
  copyCount: number,
  ...columns: MessageColumns,
]

type CopyValues = readonly [key: number, ...CopyColumns]

const mostTailBytes = 4 * 1024 * 1024
const acceptedKinds = `${kindNumber('received')}, ${kindNumber('made')}`
const always: Sql = { text: 'true', values: [] }
const allMessages: Way = { from: 'messages m', key: 'm.message', where: always, isSorted: true }

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
  return { text: andOf(some), values: some.flatMap(({ values }) => values) }
}

function andOf(some: readonly Sql[]): string {
  return some.map(({ text }) => `(${text})`).join(' AND ')
}

function linesOf(text: string | null): readonly string[] {
  return text === null || text === '' ? [] : text.split('\n')
}

type Present<Values> = { [Key in keyof Values]?: NonNullable<Values[Key]> }

/** Without what is null. */
function present<Values extends object>(values: Values): Present<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Present<Values>
}
