import { join } from 'node:path'

import { parseEntry } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { acceptedAtOf, isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { closeAfterWriting, isDamage, openForWriting, putAside } from './database.ts'
import type { Statement, StoreDatabase } from './database.ts'
import { JournalTail } from './journal-tail.ts'
import type { JournalPiece } from './journal-tail.ts'
import { kindNumber } from './copy-state.ts'
import { MessageDraft } from './message-draft.ts'
import type { CopyRow, MessageRow } from './message-draft.ts'
import { firstKeyOf, keyBeside, keyOf, lastKeyOf } from './message-key.ts'
import { auditedSince, openCopies, prepareOpen } from './open-copies.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import { trimStep } from './trim.ts'
import type { TrimQuestion } from './trim.ts'
import { packPlaces } from './places.ts'

export const storeFile = 'events.db'

/** The database below the folder of the journal. */
export function storePath(eventsFolder: string): string {
  return join(eventsFolder, storeFile)
}

export interface WriterOptions {
  /** Folder of the journal; the database lies in it. */
  readonly folder: string
  /** Something an operator should know: the database was damaged and is made anew. */
  readonly warn: (fields: object, text: string) => void
  readonly now: () => number
}

/** Octets of the journal that go into one transaction: some tens of milliseconds. */
const batchBytes = 1024 * 1024
/** A report is younger than the message whose id its own follows from. */
const laterMs = 1_000

/**
 * Writes the store: one per data folder, in a thread. What the journal says and how far it was read are committed together, so that
 * nothing is counted twice or left out, wherever the process is killed.
 */
export class StoreWriter {
  readonly #options: WriterOptions
  #database: StoreDatabase
  #tail: JournalTail
  #statements: Statements
  #names: Names

  constructor(options: WriterOptions) {
    this.#options = options
    const { database, putAside: old } = openForWriting(storePath(options.folder), options.now())
    this.#database = database
    this.#statements = prepare(database)
    this.#names = new Names(database)
    this.#tail = new JournalTail(options.folder, positionsOf(database))
    if (old !== undefined) this.#tellRemade(old.reason, old.as)
  }

  /** Takes over what was written since the last call; octets of it. 0: the store knows all there is. */
  tick(): number {
    const pieces = this.#tail.read(batchBytes, this.#options.now())
    if (pieces.length === 0) return 0
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        this.#takeOver(pieces)
        this.#database.exec('COMMIT')
      } catch (error) {
        this.#database.exec('ROLLBACK')
        throw error
      }
    } catch (error) {
      if (!isDamage(error)) {
        this.#tail.rewind(pieces)
        this.#names = new Names(this.#database)
        throw error
      }
      this.#remake(error as Error)
    }
    return pieces.reduce((bytes, { from, position }) => bytes + position - from, 0)
  }

  /** Octets of the journal that the store does not know yet. */
  behindBytes(): number {
    return this.#tail.behindBytes()
  }

  /** Those of the messages of whose acceptance the journal says nothing. */
  unaccepted(ids: readonly MessageId[]): readonly MessageId[] {
    return ids.filter((id) => {
      const row = messageRow(this.#statements, id)
      return row === undefined || !isAccepted(row[1])
    })
  }

  /** Copies of accepted messages that have no final outcome, oldest first, from the one behind `after` on. */
  openCopies(question: OpenQuestion): OpenPage {
    return openCopies(this.#statements.open, question)
  }

  /** Since when each loss would be seen: the first time it is asked for. */
  auditedSince(): number {
    this.#database.prepare("INSERT OR IGNORE INTO facts VALUES ('audited since', ?)").run(this.#options.now())
    return auditedSince(this.#database) ?? 0
  }

  /** A step of cleaning up; true: there is more to do. */
  trim(question: TrimQuestion): boolean {
    return trimStep({ folder: this.#options.folder, database: this.#database, tail: this.#tail }, question)
  }

  get database(): StoreDatabase {
    return this.#database
  }

  close(): void {
    closeAfterWriting(this.#database)
  }

  #remake(error: Error): void {
    const { folder, now } = this.#options
    this.#database.close()
    const as = putAside(storePath(folder), now())
    this.#database = openForWriting(storePath(folder), now()).database
    this.#statements = prepare(this.#database)
    this.#names = new Names(this.#database)
    this.#tail = new JournalTail(folder, new Map())
    this.#tellRemade(error.message, as)
  }

  #tellRemade(reason: string, as?: string): void {
    const fields = { reason, ...(as === undefined ? {} : { putAside: as }) }
    this.#options.warn(fields, 'the message store could not be used: it is made anew from the journal')
  }

  #takeOver(pieces: readonly JournalPiece[]): void {
    const drafts = new Map<MessageId, Known>()
    for (const piece of pieces) {
      const file = this.#fileOf(piece)
      for (const { offset, text } of piece.lines) {
        const entry = parseEntry(text)
        if (entry !== undefined) this.#tell(drafts, entry, { file, offset })
      }
    }
    for (const [id, known] of drafts) if (known.draft.isTold) this.#save(id, known)
  }

  #fileOf({ name, position }: JournalPiece): number {
    const row = this.#statements.keepPosition.get(name, position) as readonly [number]
    return row[0]
  }

  #tell(
    drafts: Map<MessageId, Known>,
    entry: JournalEntry,
    place: { readonly file: number; readonly offset: number },
  ): void {
    const { id, about } = entry
    if (typeof id === 'string' && isMessageId(id)) {
      const { draft } = this.#known(drafts, id)
      draft.tell(entry)
      draft.places.push(place)
    }
    if (typeof about === 'string' && isMessageId(about)) this.#known(drafts, about).draft.places.push(place)
  }

  #known(drafts: Map<MessageId, Known>, id: MessageId): Known {
    const found = drafts.get(id)
    if (found !== undefined) return found
    const known = this.#read(id)
    drafts.set(id, known)
    return known
  }

  #read(id: MessageId): Known {
    const row = messageRow(this.#statements, id)
    if (row === undefined) return { key: undefined, places: undefined, draft: new MessageDraft() }
    const [key, kind, sender, size, client, user, listener, headerId, tags, places] = row
    const message: MessageRow = { kind }
    if (sender !== null) message.sender = sender
    if (size !== null) message.sizeBytes = size
    if (client !== null) message.client = client
    if (user !== null) message.user = user
    if (listener !== null) message.listener = this.#names.text(listener)
    if (headerId !== null) message.headerId = headerId
    if (tags !== null) message.tags = this.#names.text(tags)
    const copies = new Map<number, CopyRow>()
    for (const one of this.#statements.copies.all(key) as readonly CopyValues[]) copies.set(one[0], this.#copy(one))
    return { key, places: places ?? undefined, draft: new MessageDraft({ message, copies }) }
  }

  #copy([, address, state, stage, rules, about, remote, nextAt, at]: CopyValues): CopyRow {
    const copy: CopyRow = { state, at }
    if (address !== null) copy.address = address
    if (stage !== null) copy.stage = this.#names.text(stage)
    if (rules !== null) copy.rules = this.#names.text(rules)
    if (about !== null) copy.class = this.#names.text(about)
    if (remote !== null) copy.remote = remote
    if (nextAt !== null) copy.nextAt = nextAt
    return copy
  }

  #save(id: MessageId, { key: known, places, draft }: Known): void {
    const { message, copies, changedCopies } = draft
    const key = known ?? this.#newKey(id, draft.madeAt)
    const name = (text: string | undefined): number | null => (text === undefined ? null : this.#names.number(text))
    this.#statements.saveMessage.run(
      key,
      id,
      message.kind,
      message.sender ?? null,
      message.sizeBytes ?? null,
      message.client ?? null,
      message.user ?? null,
      name(message.listener),
      message.headerId ?? null,
      name(message.tags),
      packPlaces(places, draft.places),
    )
    for (const n of changedCopies) {
      const copy = copies.get(n)
      if (copy === undefined) continue
      this.#statements.saveCopy.run(
        key,
        n,
        copy.address ?? null,
        copy.state,
        name(copy.stage),
        name(copy.rules),
        name(copy.class),
        copy.remote ?? null,
        copy.nextAt ?? null,
        copy.at,
      )
    }
    if (changedCopies.size > 0) this.#saveRemote(key, copies)
  }

  #saveRemote(key: number, copies: ReadonlyMap<number, CopyRow>): void {
    const said = [...new Set([...copies.values()].map(({ remote }) => remote).filter((one) => one !== undefined))]
    if (said.length > 0) this.#statements.saveRemote.run(key, said.join('\n'))
  }

  #newKey(id: MessageId, madeAt: number | undefined): number {
    const isLater = madeAt !== undefined && madeAt - acceptedAtOf(id) > laterMs
    let key = isLater ? keyOf(id, madeAt) : keyOf(id)
    while (this.#statements.isTaken.get(key) !== undefined) key = keyBeside(key)
    return key
  }
}

function isAccepted(kind: number): boolean {
  return kind === kindNumber('received') || kind === kindNumber('made')
}

interface Known {
  readonly key: number | undefined
  readonly places: Uint8Array | undefined
  readonly draft: MessageDraft
}

type MessageValues = readonly [
  key: number,
  kind: number,
  sender: string | null,
  size: number | null,
  client: string | null,
  user: string | null,
  listener: number | null,
  headerId: string | null,
  tags: number | null,
  places: Uint8Array | null,
]

type CopyValues = readonly [
  n: number,
  address: string | null,
  state: number,
  stage: number | null,
  rules: number | null,
  about: number | null,
  remote: string | null,
  nextAt: number | null,
  at: number,
]

type Statements = ReturnType<typeof prepare>

const messageColumns = 'message, kind, sender, size, client, user, listener, header_id, tags, places'

function prepare(database: StoreDatabase) {
  const raw = (sql: string): Statement => database.prepare(sql).raw()
  return {
    byTime: raw(`SELECT ${messageColumns} FROM messages WHERE message BETWEEN ? AND ? AND id = ?`),
    later: raw(`SELECT ${messageColumns} FROM messages WHERE kind = 2 AND id = ?`),
    copies: raw('SELECT n, address, state, stage, rules, class, remote, next_at, at FROM copies WHERE message = ?'),
    open: prepareOpen(database),
    isTaken: raw('SELECT 1 FROM messages WHERE message = ?'),
    saveMessage: database.prepare(
      `INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (message) DO UPDATE SET kind = excluded.kind, sender = excluded.sender, size = excluded.size,
         client = excluded.client, user = excluded.user, listener = excluded.listener, header_id = excluded.header_id,
         tags = excluded.tags, places = excluded.places`,
    ),
    saveCopy: database.prepare('INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    saveRemote: database.prepare('INSERT OR REPLACE INTO remote (rowid, text) VALUES (?, ?)'),
    keepPosition: raw(
      `INSERT INTO files (name, position) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET position = excluded.position RETURNING file`,
    ),
  }
}

function messageRow({ byTime, later }: Statements, id: MessageId): MessageValues | undefined {
  const at = acceptedAtOf(id)
  const row: unknown = byTime.get(firstKeyOf(at), lastKeyOf(at), id) ?? later.get(id)
  return row as MessageValues | undefined
}

function positionsOf(database: StoreDatabase): ReadonlyMap<string, number> {
  const rows = database.prepare('SELECT name, position FROM files').raw().all() as readonly [string, number][]
  return new Map(rows)
}

/** The few words that stand in many rows, as numbers. */
class Names {
  readonly #numbers = new Map<string, number>()
  readonly #texts = new Map<number, string>()
  readonly #add: Statement

  constructor(database: StoreDatabase) {
    this.#add = database.prepare('INSERT INTO names (text) VALUES (?) RETURNING name').raw()
    for (const [name, text] of database.prepare('SELECT name, text FROM names').raw().all() as [number, string][])
      this.#keep(name, text)
  }

  number(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const [name] = this.#add.get(text) as readonly [number]
    this.#keep(name, text)
    return name
  }

  text(name: number): string {
    return this.#texts.get(name) ?? ''
  }

  #keep(name: number, text: string): void {
    this.#numbers.set(text, name)
    this.#texts.set(name, text)
  }
}
