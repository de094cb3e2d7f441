import { parseEntry } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { acceptedAtOf, isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { isAcceptedKind } from './copy-state.ts'
import { JournalTail } from './journal-tail.ts'
import type { JournalPiece } from './journal-tail.ts'
import { MessageDraft } from './message-draft.ts'
import { keyBeside, keyOf } from './message-key.ts'
import { auditFact, auditedSince, openCopies } from './open-copies.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import type { Batch, SavedMessage, ToldLine, WritableStore } from './store-database.ts'
import { trimStep } from './trim.ts'
import type { TrimQuestion } from './trim.ts'

export interface WriterOptions {
  /** Folder of the journal. */
  readonly folder: string
  readonly store: WritableStore
  readonly now: () => number
}

/** Octets of the journal that go into one transaction: some tens of milliseconds. */
const batchBytes = 1024 * 1024
/** A report is younger than the message whose id its own follows from. */
const laterMs = 1_000

/**
 * Writes the store: one per data folder, in a thread. What the journal says and how far it was read are committed together, so that
 * nothing is counted twice or left out, wherever the process is killed. Its methods must not run at the same time.
 */
export class StoreWriter {
  readonly #options: WriterOptions
  #tail: JournalTail | undefined

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** Takes over what was written since the last call; octets of it. 0: the store knows all there is. */
  async tick(): Promise<number> {
    const { store } = this.#options
    const pieces = await this.#next()
    if (pieces.length === 0) return 0
    try {
      await store.write(pieces, (batch) => takeOver(batch, pieces))
    } catch (error) {
      // What is known now is read anew: the end of a transaction may be done, and its answer lost.
      this.#tail = undefined
      if (!(await store.mend(error as Error))) throw error
    }
    return pieces.reduce((bytes, { from, position }) => bytes + position - from, 0)
  }

  /** Octets of the journal that the store does not know yet. */
  async behindBytes(): Promise<number> {
    return (await this.#following()).behindBytes()
  }

  /** Those of the messages of whose acceptance the journal says nothing. */
  async unaccepted(ids: readonly MessageId[]): Promise<readonly MessageId[]> {
    const known = await this.#options.store.kinds(ids)
    return ids.filter((id) => !isAcceptedKind(known.get(id)?.kind))
  }

  /** Copies of accepted messages that have no final outcome, oldest first, from the one behind `after` on. */
  openCopies(question: OpenQuestion): Promise<OpenPage> {
    const { store } = this.#options
    return store.atOneMoment((rows) => openCopies(rows, store.dialect, question))
  }

  /** Since when each loss would be seen: the first time it is asked for. */
  async auditedSince(): Promise<number> {
    const { store, now } = this.#options
    const known = await store.atOneMoment((rows) => auditedSince(rows, store.dialect))
    if (known !== undefined) return known
    const since = now()
    await store.keepFact(store.dialect.ownFact(auditFact), since)
    return since
  }

  /** A step of cleaning up; true: there is more to do. */
  async trim(question: TrimQuestion): Promise<boolean> {
    const { folder, store } = this.#options
    return trimStep({ folder, store, tail: await this.#following() }, question)
  }

  close(): Promise<void> {
    return this.#options.store.close()
  }

  /** What was read before a file that cannot be read is read anew, too. */
  async #next(): Promise<readonly JournalPiece[]> {
    const tail = await this.#following()
    try {
      return tail.read(batchBytes, this.#options.now())
    } catch (error) {
      this.#tail = undefined
      throw error
    }
  }

  async #following(): Promise<JournalTail> {
    const { folder, store } = this.#options
    return (this.#tail ??= new JournalTail(folder, await store.positions()))
  }
}

/** What the lines of one transaction say about a message. */
class Tale {
  /** About it; lines that only name it are told in its story alone. */
  readonly entries: JournalEntry[] = []
  readonly lines: ToldLine[] = []
}

async function takeOver(batch: Batch, pieces: readonly JournalPiece[]): Promise<void> {
  const tales = talesOf(pieces)
  const known = await batch.read([...tales.keys()])
  const saved: { id: MessageId; key: number | undefined; draft: MessageDraft; lines: readonly ToldLine[] }[] = []
  for (const [id, { entries, lines }] of tales) {
    const stored = known.get(id)
    if (stored === undefined && entries.length === 0) continue
    const draft = new MessageDraft(stored)
    for (const entry of entries) draft.tell(entry)
    saved.push({ id, key: stored?.key, draft, lines })
  }
  const keys = await newKeys(
    batch,
    saved.filter(({ key }) => key === undefined).map(({ id, draft }) => [id, firstChoice(id, draft.madeAt)]),
  )
  await batch.save(
    saved.map(({ id, key, draft, lines }): SavedMessage => ({ id, key: key ?? keys.get(id) ?? 0, draft, lines })),
  )
}

function talesOf(pieces: readonly JournalPiece[]): ReadonlyMap<MessageId, Tale> {
  const tales = new Map<MessageId, Tale>()
  const taleOf = (id: MessageId): Tale => {
    let tale = tales.get(id)
    if (tale === undefined) tales.set(id, (tale = new Tale()))
    return tale
  }
  for (const { name: file, lines } of pieces) {
    for (const { offset, text } of lines) {
      const entry = parseEntry(text)
      if (entry === undefined) continue
      const line = { file, offset, text }
      const { id, about } = entry
      if (isId(id)) {
        const tale = taleOf(id)
        tale.entries.push(entry)
        tale.lines.push(line)
      }
      if (isId(about)) taleOf(about).lines.push(line)
    }
  }
  return tales
}

function isId(value: unknown): value is MessageId {
  return typeof value === 'string' && isMessageId(value)
}

function firstChoice(id: MessageId, madeAt: number | undefined): number {
  const isLater = madeAt !== undefined && madeAt - acceptedAtOf(id) > laterMs
  return isLater ? keyOf(id, madeAt) : keyOf(id)
}

async function newKeys(
  batch: Batch,
  wanted: readonly (readonly [MessageId, number])[],
): Promise<ReadonlyMap<MessageId, number>> {
  const keys = new Map<MessageId, number>()
  const given = new Set<number>()
  for (let left = wanted; left.length > 0;) {
    const taken = await batch.taken(left.map(([, key]) => key))
    const again: (readonly [MessageId, number])[] = []
    for (const [id, key] of left) {
      if (taken.has(key) || given.has(key)) again.push([id, keyBeside(key)])
      else {
        given.add(key)
        keys.set(id, key)
      }
    }
    left = again
  }
  return keys
}
