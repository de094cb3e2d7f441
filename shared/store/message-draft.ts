import type { JournalEntry } from '../journal.ts'
import { isOpenNumber, kindNumber, stateNumber } from './copy-state.ts'
import type { CopyState, MessageKind } from './copy-state.ts'

/** A message as a row; what no line told yet is absent. */
export interface MessageRow {
  kind: number
  /** Empty: the null reverse-path. */
  sender?: string
  sizeBytes?: number
  client?: string
  user?: string
  listener?: string
  headerId?: string
  subject?: string
  /** Separated by line feeds. */
  tags?: string
}

/** One recipient's copy as a row. */
export interface CopyRow {
  address?: string
  state: number
  stage?: string
  /** The rules it went by, in their order, separated by line feeds. */
  rules?: string
  class?: string
  /** Who said what: `mx.example.net: 250 2.0.0 Ok`, or a reason; a line each, the last first, none twice. */
  remote?: string
  nextAt?: number
  /** Of the last line about it. */
  at: number
}

/** Refused recipients are numbered from here: they have no place in the envelope. */
export const firstRefused = 1_000_000
const mostRefused = 100
const mostRemote = 500
/** Of what was said in all attempts; the last stands first. */
const mostRemotes = 2_000

/** What the journal tells of one message, line by line. Lines may come in any order and more than once. */
export class MessageDraft {
  readonly message: MessageRow
  readonly copies: Map<number, CopyRow>
  readonly changedCopies = new Set<number>()
  /** When it was made, if a line says so: an id that follows from another message's tells that one's time. */
  madeAt: number | undefined
  /** A line here says that it was accepted. */
  isAccepted = false

  constructor(stored?: { readonly message: MessageRow; readonly copies: Map<number, CopyRow> }) {
    this.message = stored?.message ?? { kind: kindNumber('unknown') }
    this.copies = stored?.copies ?? new Map()
  }

  tell(entry: JournalEntry): void {
    switch (entry.event) {
      case 'received':
        return this.#accepted(entry, 'received')
      case 'made':
        this.madeAt = entry.at
        return this.#accepted(entry, 'made')
      case 'recovered':
        return this.#recovered(entry)
      case 'rejected':
        return this.#refused(entry)
      case 'routed':
        return this.#routed(entry)
      case 'passed':
        return this.#tagged([text(entry['tag'])])
      case 'delayed':
      case 'delivered':
      case 'relayed':
      case 'failed':
      case 'discarded':
      case 'removed':
      case 'held':
        return this.#changed(entry, entry.event)
      case 'expired':
        return this.#changed(entry, 'failed')
      case 'readdressed':
        return this.#readdressed(entry)
      case 'released':
        return this.#changed(entry, 'queued')
      default:
        return undefined
    }
  }

  #accepted(entry: JournalEntry, kind: MessageKind): void {
    const { message } = this
    this.isAccepted = true
    message.kind = kindNumber(kind)
    const { from, sizeBytes, address, user, listener, messageId, subject } = entry
    if (from !== undefined) message.sender = text(from) ?? ''
    if (typeof sizeBytes === 'number') message.sizeBytes = sizeBytes
    assign(message, {
      client: text(address),
      user: text(user),
      listener: text(listener),
      headerId: text(messageId),
      subject: text(subject),
    })
    for (const [n, mailbox] of texts(entry['to']).entries()) {
      const copy = this.#copy(n, entry.at)
      if (copy.address === mailbox) continue
      copy.address = mailbox
      this.changedCopies.add(n)
    }
  }

  /** The spool knew more than the journal: lines were lost. */
  #recovered(entry: JournalEntry): void {
    if (entry['to'] !== undefined) this.#accepted(entry, entry['made'] === true ? 'made' : 'received')
    const state = entry['outcome'] as CopyState | undefined
    if (state !== undefined && stateNumber(state) >= 0) this.#changed(entry, state)
  }

  #refused(entry: JournalEntry): void {
    const { message } = this
    if (message.kind === kindNumber('unknown')) message.kind = kindNumber('refused')
    if (entry['from'] !== undefined) message.sender ??= text(entry['from']) ?? ''
    assign(message, { client: text(entry['address']), listener: text(entry['listener']) })
    const to = text(entry['to'])
    const known = [...this.copies].filter(([n]) => n >= firstRefused)
    if (known.length >= mostRefused) return
    const n = known.find(([, copy]) => copy.address === to)?.[0] ?? firstRefused + known.length
    const copy = this.#copy(n, entry.at)
    copy.state = stateNumber('refused')
    assign(copy, { address: to, stage: text(entry['stage']), remote: text(entry['reply'])?.slice(0, mostRemote) })
    assign(copy, { rules: text(entry['restriction']) })
    this.changedCopies.add(n)
  }

  #routed(entry: JournalEntry): void {
    const rule = text(entry['rule'])
    for (const [n, copy] of this.#copiesOf(entry)) {
      if (rule !== undefined) copy.rules = withWord(copy.rules, rule)
      this.changedCopies.add(n)
      if (entry.at < copy.at || !isOpenNumber(copy.state)) continue
      copy.at = entry.at
      copy.state = stateNumber('queued')
      delete copy.nextAt
      assign(copy, { stage: text(entry['queue']) })
    }
    this.#tagged(texts(entry['tags']))
  }

  #readdressed(entry: JournalEntry): void {
    for (const [n, copy] of this.#copiesOf(entry)) {
      assign(copy, { address: text(entry['to']) })
      this.changedCopies.add(n)
    }
  }

  #tagged(tags: readonly (string | undefined)[]): void {
    for (const tag of tags) if (tag !== undefined) this.message.tags = withWord(this.message.tags, tag)
  }

  /** The first final outcome stands; of the others the newest. */
  #changed(entry: JournalEntry, state: CopyState): void {
    const number = stateNumber(state)
    const said = text(entry['reply']) ?? text(entry['reason'])
    const host = text(entry['remoteMta'])
    for (const [n, copy] of this.#copiesOf(entry)) {
      const line = said === undefined ? undefined : remoteLine(said, host)
      if (!isOpenNumber(copy.state) || (isOpenNumber(number) && entry.at < copy.at)) {
        if (line !== undefined && state === 'delayed' && addLine(copy, line, 'behind')) this.changedCopies.add(n)
        continue
      }
      copy.state = number
      copy.at = entry.at
      const { nextAt } = entry
      if (typeof nextAt === 'number') copy.nextAt = nextAt
      else delete copy.nextAt
      assign(copy, { stage: text(entry['stage']), class: text(entry['class']) })
      if (line !== undefined) addLine(copy, line, 'before')
      this.changedCopies.add(n)
    }
  }

  /** By number where the line has them; by address or, where it names none, all that are open, in lines of older versions. */
  #copiesOf(entry: JournalEntry): readonly (readonly [number, CopyRow])[] {
    const { rcpt, recipient, to } = entry
    const numbers = Array.isArray(rcpt) ? rcpt.filter(isIndex) : isIndex(rcpt) ? [rcpt] : undefined
    const addresses = typeof recipient === 'string' ? [recipient] : texts(to)
    if (numbers !== undefined) {
      return numbers.map((n, place) => {
        const copy = this.#copy(n, entry.at)
        assign(copy, { address: copy.address ?? addresses[place] })
        return [n, copy]
      })
    }
    if (addresses.length > 0) return addresses.map((address) => this.#copyTo(address, entry.at))
    return [...this.copies].filter(([, { state }]) => isOpenNumber(state))
  }

  #copyTo(address: string, at: number): readonly [number, CopyRow] {
    const same = [...this.copies].filter(([n, copy]) => n < firstRefused && sameText(copy.address, address))
    const found = same.find(([, { state }]) => isOpenNumber(state)) ?? same[0]
    if (found !== undefined) return found
    const n = [...this.copies.keys()].filter((one) => one < firstRefused).length
    const copy = this.#copy(n, at)
    copy.address = address
    return [n, copy]
  }

  #copy(n: number, at: number): CopyRow {
    const known = this.copies.get(n)
    if (known !== undefined) return known
    const copy: CopyRow = { state: stateNumber('queued'), at }
    this.copies.set(n, copy)
    this.changedCopies.add(n)
    return copy
  }
}

function remoteLine(said: string, host: string | undefined): string {
  return (host === undefined ? said : `${host}: ${said}`).replaceAll(/[\r\n]+/g, ' ').slice(0, mostRemote)
}

/** True: it was not there. */
function addLine(copy: CopyRow, line: string, place: 'before' | 'behind'): boolean {
  const known = copy.remote === undefined ? [] : copy.remote.split('\n')
  if (place === 'behind' && known.includes(line)) return false
  const others = known.filter((one) => one !== line)
  const lines = place === 'before' ? [line, ...others] : [...others, line]
  while (lines.length > 1 && lines.join('\n').length > mostRemotes) lines.pop()
  copy.remote = lines.join('\n')
  return lines.includes(line)
}

/** Sets what is given; what is not stays. */
function assign<Row extends object>(row: Row, values: { readonly [Key in keyof Row]?: Row[Key] | undefined }): void {
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) (row as Record<string, unknown>)[name] = value
  }
}

function withWord(words: string | undefined, word: string): string {
  if (words === undefined) return word
  return words.split('\n').some((one) => sameText(one, word)) ? words : `${words}\n${word}`
}

function sameText(one: string | undefined, other: string): boolean {
  return one !== undefined && one.toLowerCase() === other.toLowerCase()
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}
