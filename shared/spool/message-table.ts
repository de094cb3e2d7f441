import type { MessageId } from '../mail/message-id.ts'
import { frameBytes, headBytes } from './frame.ts'
import type { FrameHead } from './frame.ts'
import { IdTable } from './id-table.ts'
import type { OutcomeKey } from './outcome-record.ts'
import { RecipientSets } from './recipient-set.ts'
import type { SegmentState } from './segment-state.ts'
import type { FinalKind, LiveMessage, Locator } from './spool.ts'

/** What the records on disk add up to, in recipients: `accepted` is always the sum of the others. */
export interface SpoolCounts {
  readonly messages: number
  readonly accepted: number
  readonly pending: number
  readonly final: Readonly<Record<FinalKind, number>>
  /** Final outcomes for a recipient that had one already: an attempt that was made twice. */
  readonly repeated: number
}

/** Another record of a message that is known: written again after a crash, or the copy that cleaning made. */
interface Copy {
  readonly segment: SegmentState
  readonly offset: number
  readonly head: FrameHead
}

/**
 * All messages that have a record on disk, and for a while those whose outcomes stand without one, in columns of numbers:
 * about 80 octets a message.
 */
export class MessageTable {
  readonly #ids = new IdTable()
  readonly #segments: SegmentState[] = []
  readonly #segmentNumbers = new Map<SegmentState, number>()
  readonly #unusedNumbers: number[] = []
  #state = new Uint8Array(firstSize)
  #segment = new Uint32Array(firstSize)
  #offset = new Uint32Array(firstSize)
  #metaBytes = new Uint32Array(firstSize)
  #contentBytes = new Uint32Array(firstSize)
  #headerBytes = new Uint32Array(firstSize)
  #sizeBytes = new Float64Array(firstSize)
  /** `receivedAt`; for a message without a record the time of its newest outcome. */
  #at = new Float64Array(firstSize)
  #largeFile = new Uint32Array(firstSize)
  readonly #pending = new RecipientSets()
  readonly #held = new RecipientSets()
  readonly #heldAt = new Map<string, number>()
  /** Of the messages an operator decided about. */
  readonly #decidedAt = new Map<number, number>()
  readonly #copies = new Map<number, Copy[]>()
  readonly #early = new Map<number, OutcomeKey[]>()
  #live = 0
  #messages = 0
  #accepted = 0
  #repeated = 0
  readonly #final: Record<FinalKind, number> = { delivered: 0, relayed: 0, failed: 0, discarded: 0, removed: 0 }

  /** Messages with a recipient that has no final outcome. */
  get live(): number {
    return this.#live
  }

  counts(): SpoolCounts {
    const final = { ...this.#final }
    const done = final.delivered + final.relayed + final.failed + final.discarded + final.removed
    return {
      messages: this.#messages,
      accepted: this.#accepted,
      pending: this.#accepted - done,
      final,
      repeated: this.#repeated,
    }
  }

  *liveMessages(): Generator<LiveMessage> {
    for (let slot = 0; slot < this.#ids.slots; slot += 1) {
      if (this.#state[slot] === live) yield this.#message(slot)
    }
  }

  /** Live messages an operator decided about. */
  *decidedMessages(): Generator<LiveMessage> {
    for (const slot of this.#decidedAt.keys()) yield this.#message(slot)
  }

  get(id: MessageId): LiveMessage | undefined {
    const slot = this.#ids.find(id)
    return slot !== undefined && this.#state[slot] === live ? this.#message(slot) : undefined
  }

  /** Where the record of a live message is, and its content when it has a file of its own. */
  place(
    id: MessageId,
  ): { readonly segment: SegmentState; readonly offset: number; readonly largeFile: number } | undefined {
    const slot = this.#ids.find(id)
    if (slot === undefined || this.#state[slot] !== live) return undefined
    return { segment: this.#segmentOf(slot), offset: this.#offset[slot] ?? 0, largeFile: this.#largeFile[slot] ?? 0 }
  }

  /** Known by a record that is, as far as the last look says, on disk. */
  hasRecord(id: MessageId): boolean {
    const slot = this.#ids.find(id)
    return slot !== undefined && (this.#state[slot] === live || this.#state[slot] === settled)
  }

  addRecord(segment: SegmentState, offset: number, head: FrameHead): void {
    if (head.id === '') return
    const slot = this.#slotOf(head.id)
    const state = this.#state[slot]
    if (state === live || state === settled) return this.#addCopy(slot, { segment, offset, head })
    if (state === gone) return this.#addLate(slot, segment, offset, head)
    const early = this.#early.get(slot) ?? []
    this.#early.delete(slot)
    this.#place(slot, segment, offset, head)
    this.#state[slot] = live
    this.#pending.fill(slot, head.count)
    this.#held.clear(slot)
    this.#live += 1
    this.#messages += 1
    this.#accepted += head.count
    segment.add(head)
    if (this.#pending.isEmpty(slot)) this.#settle(slot, head.at)
    for (const outcome of early) this.#apply(slot, outcome)
  }

  /**
   * Takes an outcome. One that was made before `recordsReadAt`, of a message that has no record, speaks of a message whose
   * record was deleted since: a record comes before its outcomes. Any other waits for its record.
   */
  addOutcome(outcome: OutcomeKey, recordsReadAt: number): void {
    const slot = this.#slotOf(outcome.id)
    const state = this.#state[slot]
    if (state === live || state === settled) return this.#apply(slot, outcome)
    this.#at[slot] = Math.max(this.#at[slot] ?? 0, outcome.at)
    if (state === gone) return
    if (state === unused && outcome.at < recordsReadAt) {
      this.#state[slot] = gone
      return
    }
    this.#state[slot] = early
    const waiting = this.#early.get(slot)
    if (waiting === undefined) this.#early.set(slot, [outcome])
    else waiting.push(outcome)
  }

  /** The live records in these segments. */
  liveRecords(segments: ReadonlySet<SegmentState>): ReadonlyMap<SegmentState, readonly LiveRecord[]> {
    const records = new Map<SegmentState, LiveRecord[]>([...segments].map((segment) => [segment, []]))
    const numbers = new Set([...segments].map((segment) => this.#segmentNumbers.get(segment)))
    for (let slot = 0; slot < this.#ids.slots; slot += 1) {
      if (this.#state[slot] !== live || !numbers.has(this.#segment[slot])) continue
      const largeFile = this.#largeFile[slot] ?? 0
      records.get(this.#segmentOf(slot))?.push({ locator: this.#locator(slot), largeFile })
    }
    for (const [slot, copies] of this.#copies) {
      if (this.#state[slot] !== live) continue
      for (const { segment, offset, head } of copies) {
        const locator = locatorOf(segment.path, offset, head)
        records.get(segment)?.push({ locator, largeFile: head.largeFile })
      }
    }
    return records
  }

  /** Forgets the records of a segment from `offset` on: their writer took them back before it acknowledged them. */
  dropFrom(segment: SegmentState, offset: number): void {
    const number = this.#segmentNumbers.get(segment)
    for (let slot = 0; slot < this.#ids.slots; slot += 1) {
      const isOnRecord = this.#state[slot] === live || this.#state[slot] === settled
      if (isOnRecord && this.#segment[slot] === number && (this.#offset[slot] ?? 0) >= offset) this.#drop(slot)
    }
  }

  /**
   * Records of these segments were deleted: those for which `isGone`. Settled messages that lost their last record stay
   * known until `forgetBefore`.
   */
  forgetRecords(segments: ReadonlySet<SegmentState>, isGone: (segment: SegmentState, offset: number) => boolean): void {
    for (const [slot, copies] of this.#copies) {
      const left = copies.filter(({ segment, offset }) => !segments.has(segment) || !isGone(segment, offset))
      if (left.length === 0) this.#copies.delete(slot)
      else this.#copies.set(slot, left)
    }
    const numbers = new Set([...segments].map((segment) => this.#segmentNumbers.get(segment)))
    for (let slot = 0; slot < this.#ids.slots; slot += 1) {
      const isOnRecord = this.#state[slot] === live || this.#state[slot] === settled
      if (!isOnRecord || !numbers.has(this.#segment[slot])) continue
      if (isGone(this.#segmentOf(slot), this.#offset[slot] ?? 0)) this.#loseRecord(slot)
    }
  }

  /** The segment and all its records are gone; its number may be used again. */
  removeSegment(segment: SegmentState): void {
    const number = this.#segmentNumbers.get(segment)
    if (number === undefined) return
    this.#segmentNumbers.delete(segment)
    this.#unusedNumbers.push(number)
  }

  /** Forgets messages without a record whose last outcome is older than this. */
  forgetBefore(at: number): void {
    for (let slot = 0; slot < this.#ids.slots; slot += 1) {
      const state = this.#state[slot]
      if ((state === early || state === gone) && (this.#at[slot] ?? 0) < at) this.#free(slot)
    }
  }

  #numberOf(segment: SegmentState): number {
    const known = this.#segmentNumbers.get(segment)
    if (known !== undefined) return known
    const number = this.#unusedNumbers.pop() ?? this.#segments.length
    this.#segments[number] = segment
    this.#segmentNumbers.set(segment, number)
    return number
  }

  #addCopy(slot: number, copy: Copy): void {
    const copies = this.#copies.get(slot) ?? []
    const places = [...copies, { segment: this.#segmentOf(slot), offset: this.#offset[slot] }]
    if (places.some(({ segment, offset }) => segment === copy.segment && offset === copy.offset)) return
    this.#copies.set(slot, [...copies, copy])
    copy.segment.add(copy.head)
    if (this.#state[slot] === settled) copy.segment.settle(copy.head, this.#at[slot] ?? 0)
  }

  /** A record of a message that was settled and forgotten on disk: written again after a crash. */
  #addLate(slot: number, segment: SegmentState, offset: number, head: FrameHead): void {
    const settledAt = this.#at[slot] ?? 0
    this.#place(slot, segment, offset, head)
    this.#state[slot] = settled
    this.#at[slot] = settledAt
    this.#pending.clear(slot)
    this.#held.clear(slot)
    segment.add(head)
    segment.settle(head, settledAt)
  }

  /** A live message without any record stays live: reading it fails, and that must be seen. */
  #loseRecord(slot: number): void {
    const [copy, ...others] = this.#copies.get(slot) ?? []
    if (copy === undefined) {
      if (this.#state[slot] === settled) this.#state[slot] = gone
      return
    }
    const at = this.#at[slot] ?? 0
    if (this.#state[slot] === live) this.#segmentOf(slot).settle(this.#headLike(slot), 0)
    this.#place(slot, copy.segment, copy.offset, copy.head)
    this.#at[slot] = at
    this.#copies.set(slot, others)
  }

  #apply(slot: number, { recipient, kind, at }: OutcomeKey): void {
    switch (kind) {
      case 'held':
      case 'released':
        return this.#applyHold(slot, recipient, kind, at)
      case 'delivered':
      case 'relayed':
      case 'failed':
      case 'discarded':
      case 'removed':
        return this.#applyFinal(slot, recipient, kind, at)
      case 'rerouted':
      case 'readdressed':
        if (this.#state[slot] === live) this.#decidedAt.set(slot, Math.max(at, this.#decidedAt.get(slot) ?? 0))
    }
  }

  #applyFinal(slot: number, recipient: number, kind: FinalKind, at: number): void {
    if (!this.#pending.has(slot, recipient)) {
      this.#repeated += 1
      return
    }
    this.#pending.delete(slot, recipient)
    this.#held.delete(slot, recipient)
    this.#heldAt.delete(`${slot}/${recipient}`)
    this.#final[kind] += 1
    if (this.#pending.isEmpty(slot)) this.#settle(slot, at)
  }

  /** The newest state stands, whichever log it is read from first. */
  #applyHold(slot: number, recipient: number, kind: 'held' | 'released', at: number): void {
    if (!this.#pending.has(slot, recipient)) return
    const key = `${slot}/${recipient}`
    if (at < (this.#heldAt.get(key) ?? 0)) return
    this.#heldAt.set(key, at)
    if (kind === 'held') this.#held.add(slot, recipient)
    else this.#held.delete(slot, recipient)
  }

  #settle(slot: number, at: number): void {
    this.#state[slot] = settled
    this.#decidedAt.delete(slot)
    this.#live -= 1
    const segment = this.#segmentOf(slot)
    segment.settle(this.#headLike(slot), at)
    for (const copy of this.#copies.get(slot) ?? []) copy.segment.settle(copy.head, at)
    this.#at[slot] = at
  }

  #drop(slot: number): void {
    const head = this.#headLike(slot)
    const pending = this.#pending.list(slot).length
    if (this.#state[slot] === live) {
      this.#live -= 1
      this.#segmentOf(slot).settle(head, 0)
    }
    this.#messages -= 1
    this.#accepted -= pending
    this.#free(slot)
  }

  #free(slot: number): void {
    for (const recipient of this.#held.list(slot)) this.#heldAt.delete(`${slot}/${recipient}`)
    this.#early.delete(slot)
    this.#decidedAt.delete(slot)
    this.#copies.delete(slot)
    this.#pending.clear(slot)
    this.#held.clear(slot)
    this.#state[slot] = unused
    this.#at[slot] = 0
    this.#ids.delete(this.#ids.idOf(slot))
  }

  #slotOf(id: MessageId): number {
    const slot = this.#ids.add(id)
    if (slot >= this.#state.length) this.#grow()
    return slot
  }

  #place(slot: number, segment: SegmentState, offset: number, head: FrameHead): void {
    this.#segment[slot] = this.#numberOf(segment)
    this.#offset[slot] = offset
    this.#metaBytes[slot] = head.metaBytes
    this.#contentBytes[slot] = head.contentBytes
    this.#headerBytes[slot] = head.headerBytes
    this.#sizeBytes[slot] = head.sizeBytes
    this.#at[slot] = head.at
    this.#largeFile[slot] = head.largeFile
  }

  #segmentOf(slot: number): SegmentState {
    const segment = this.#segments[this.#segment[slot] ?? 0]
    if (segment === undefined) throw new Error(`no segment for slot ${slot}`)
    return segment
  }

  #headLike(slot: number): Pick<FrameHead, 'metaBytes' | 'contentBytes' | 'largeFile'> {
    return {
      metaBytes: this.#metaBytes[slot] ?? 0,
      contentBytes: this.#contentBytes[slot] ?? 0,
      largeFile: this.#largeFile[slot] ?? 0,
    }
  }

  #locator(slot: number): Locator {
    const { metaBytes, contentBytes } = this.#headLike(slot)
    return {
      segment: this.#segmentOf(slot).path,
      offset: this.#offset[slot] ?? 0,
      recordBytes: headBytes + metaBytes + contentBytes,
      sizeBytes: this.#sizeBytes[slot] ?? 0,
      headerBytes: this.#headerBytes[slot] ?? 0,
    }
  }

  #message(slot: number): LiveMessage {
    const decidedAt = this.#decidedAt.get(slot)
    return {
      id: this.#ids.idOf(slot),
      locator: this.#locator(slot),
      receivedAt: this.#at[slot] ?? 0,
      pending: this.#pending.list(slot),
      held: this.#held.list(slot),
      ...(decidedAt === undefined ? {} : { decidedAt }),
    }
  }

  #grow(): void {
    const size = this.#state.length * 2
    this.#state = copied(new Uint8Array(size), this.#state)
    this.#segment = copied(new Uint32Array(size), this.#segment)
    this.#offset = copied(new Uint32Array(size), this.#offset)
    this.#metaBytes = copied(new Uint32Array(size), this.#metaBytes)
    this.#contentBytes = copied(new Uint32Array(size), this.#contentBytes)
    this.#headerBytes = copied(new Uint32Array(size), this.#headerBytes)
    this.#sizeBytes = copied(new Float64Array(size), this.#sizeBytes)
    this.#at = copied(new Float64Array(size), this.#at)
    this.#largeFile = copied(new Uint32Array(size), this.#largeFile)
  }
}

/** A live record, to be moved out of its segment. */
export interface LiveRecord {
  readonly locator: Locator
  /** 0 when the content is in the record. */
  readonly largeFile: number
}

const firstSize = 1024

/** What is known of a slot. `early`: outcomes without a record; `gone`: settled and its record deleted. */
const unused = 0
const early = 1
const live = 2
const settled = 3
const gone = 4

export function locatorOf(segment: string, offset: number, head: FrameHead): Locator {
  const { sizeBytes, headerBytes } = head
  return { segment, offset, recordBytes: frameBytes(head), sizeBytes, headerBytes }
}

function copied<Column extends { set(values: Column): void }>(larger: Column, column: Column): Column {
  larger.set(column)
  return larger
}
