import type { JournalEntry } from '../journal.ts'
import { parseMailbox } from '../mail/address.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Demand } from '../spam/weigh.ts'

/** A message as the journal tells of it, as far as a configuration can be asked about it. */
export interface RecordedMessage {
  readonly id: MessageId
  /** Epoch ms. */
  readonly at: number
  readonly from: ReversePath
  /** Those a client named or, of what was made here, those it is for; each once. */
  readonly asked: readonly Mailbox[]
  /** `made`: a report or a notice of ours. `refused`: in the session, for all of `asked`. */
  readonly kind: 'received' | 'made' | 'refused'
  readonly client?: RecordedClient
  readonly verdict?: RecordedVerdict
  /** Of a refusal: file:line of the `restrict`. */
  readonly restriction?: string
  /** What became of it by the rules of its time, by address; absent: it has no end yet, or an operator had a hand in it. */
  readonly ends: ReadonlyMap<Mailbox, ReadonlySet<string>>
}

export interface RecordedClient {
  readonly address: string
  /** The listener, `192.0.2.1:25`. */
  readonly listener: string
  readonly helo?: string
  readonly user?: string
  readonly tls: boolean
  /** `null`: it has none; absent: nobody wrote it down. */
  readonly rdns?: string | null
  readonly thisHost?: true
}

/** What the filter found. */
export interface RecordedVerdict {
  readonly action: string
  readonly score: number
  readonly symbols: readonly string[]
  readonly authentication: string
  /** Absent: an older version did not write it down, nor the demands. */
  readonly mayReject?: boolean
  readonly demands: readonly Demand[]
}

interface Copy {
  /** `delivered "mailbox"`: by the last rule, then by what was done. */
  end?: string
  isOver: boolean
}

/** Events by which an operator takes a message from the way that its rules say. */
const operatorEvents = new Set(['rerouted', 'readdressed', 'replayed', 'released', 'removed', 'returned'])

/** What the lines about one message say so far. They may come in any order; what is no line of ours says nothing. */
export class RecordedDraft {
  readonly #id: MessageId
  readonly #copies = new Map<number, Copy>()
  #beginning: Omit<RecordedMessage, 'id' | 'verdict' | 'ends'> | undefined
  /** In the order of the envelope's recipients: those they were asked for by. */
  #askedOf: readonly Mailbox[] = []
  #verdict: RecordedVerdict | undefined
  #hasOperator = false

  constructor(id: MessageId) {
    this.#id = id
  }

  tell(entry: JournalEntry): void {
    const { event } = entry
    if (operatorEvents.has(event)) this.#hasOperator = true
    switch (event) {
      case 'received':
      case 'made':
        return this.#begin(entry, event, mailboxes(entry['to']))
      case 'rejected':
        return this.#begin(entry, 'refused', mailboxes(entry['recipients']))
      case 'filtered':
        return this.#filtered(entry)
      case 'routed':
        return this.#routed(entry)
      case 'delivered':
      case 'relayed':
        return this.#ended(entry, `${event} "${text(entry['action']) ?? ''}"`)
      case 'failed':
        return this.#ended(entry, entry['stage'] === 'filter' ? 'rejected' : undefined)
      case 'discarded':
        return this.#ended(entry, entry['stage'] === 'filter' ? 'discarded' : undefined)
      case 'held':
        return this.#ended(entry, entry['stage'] === 'filter' ? 'held' : undefined)
      case 'expired':
      case 'removed':
        return this.#ended(entry, undefined)
      default:
        return undefined
    }
  }

  /** Nothing more is to be expected that counts. */
  get isOver(): boolean {
    if (this.#beginning === undefined) return false
    if (this.#beginning.kind === 'refused') return true
    return this.#askedOf.every((_mailbox, rcpt) => this.#copies.get(rcpt)?.isOver === true)
  }

  /** Absent: the lines do not say where it came from and whom it is for; it began earlier. */
  get message(): RecordedMessage | undefined {
    if (this.#beginning === undefined) return undefined
    const verdict = this.#verdict === undefined ? {} : { verdict: this.#verdict }
    return { id: this.#id, ...this.#beginning, ...verdict, ends: this.#ends(this.#beginning) }
  }

  #begin(entry: JournalEntry, kind: RecordedMessage['kind'], to: readonly Mailbox[]): void {
    const named = mailboxes(entry['asked'])
    const asked = named.length === to.length ? named : to
    const from = text(entry['from'])
    const restriction = text(entry['restriction'])
    const client = clientOf(entry)
    this.#beginning = {
      at: entry.at,
      from: from === undefined ? null : (parseMailbox(from) ?? null),
      asked: [...new Set(asked)],
      kind,
      ...(client === undefined ? {} : { client }),
      ...(restriction === undefined ? {} : { restriction }),
    }
    this.#askedOf = asked
  }

  /** When it was let go, the filter only says so: what it had found before counts. */
  #filtered(entry: JournalEntry): void {
    const { score, symbols, mayReject, demands } = entry
    const action = text(entry['verdict'])
    if (action === undefined || action === 'released' || typeof score !== 'number') return
    this.#verdict = {
      action,
      score,
      symbols: texts(symbols),
      authentication: text(entry['authentication']) ?? '',
      demands: Array.isArray(demands) ? demands.filter(isDemand) : [],
      ...(typeof mayReject === 'boolean' ? { mayReject } : {}),
    }
  }

  #routed(entry: JournalEntry): void {
    const kind = entry['queue'] === 'deliver' ? 'delivered' : entry['queue'] === 'relay' ? 'relayed' : undefined
    if (kind === undefined) return
    for (const copy of this.#copiesOf(entry)) if (!copy.isOver) copy.end = `${kind} "${text(entry['action']) ?? ''}"`
  }

  /** @param end what the rules and the filter made of it; absent: that is known from its way, if at all */
  #ended(entry: JournalEntry, end: string | undefined): void {
    for (const copy of this.#copiesOf(entry)) {
      copy.isOver = true
      if (end !== undefined) copy.end = end
    }
  }

  #copiesOf(entry: JournalEntry): readonly Copy[] {
    const { rcpt } = entry
    const numbers = (Array.isArray(rcpt) ? rcpt : [rcpt]).filter((one) => Number.isInteger(one)) as number[]
    return numbers.map((number) => {
      const known = this.#copies.get(number)
      if (known !== undefined) return known
      const made: Copy = { isOver: false }
      this.#copies.set(number, made)
      return made
    })
  }

  #ends({ kind, asked }: Pick<RecordedMessage, 'kind' | 'asked'>): ReadonlyMap<Mailbox, ReadonlySet<string>> {
    if (this.#hasOperator) return new Map()
    if (kind === 'refused') return new Map(asked.map((mailbox) => [mailbox, new Set(['rejected'])]))
    const ends = new Map<Mailbox, Set<string>>()
    const unknown = new Set<Mailbox>()
    for (const [rcpt, mailbox] of this.#askedOf.entries()) {
      const end = this.#copies.get(rcpt)?.end
      if (end === undefined) unknown.add(mailbox)
      else ends.set(mailbox, (ends.get(mailbox) ?? new Set()).add(end))
    }
    for (const mailbox of unknown) ends.delete(mailbox)
    return ends
  }
}

/** A recipient that was refused at RCPT: a message of its own, whatever became of the others. */
export function refusedRecipient(entry: JournalEntry): RecordedMessage | undefined {
  const id = text(entry['id'])
  const from = text(entry['from'])
  const mailbox = parseMailbox(text(entry['to']) ?? '')
  const client = clientOf(entry)
  if (id === undefined || !isMessageId(id) || mailbox === undefined || client === undefined) return undefined
  const restriction = text(entry['restriction'])
  return {
    id,
    at: entry.at,
    from: from === undefined ? null : (parseMailbox(from) ?? null),
    asked: [mailbox],
    kind: 'refused',
    client,
    ...(restriction === undefined ? {} : { restriction }),
    ends: new Map([[mailbox, new Set(['rejected'])]]),
  }
}

function clientOf(entry: JournalEntry): RecordedClient | undefined {
  const [address, listener, helo, user] = ['address', 'listener', 'helo', 'user'].map((name) => text(entry[name]))
  if (address === undefined || listener === undefined) return undefined
  const { rdns } = entry
  return {
    address,
    listener,
    tls: text(entry['tls']) !== undefined,
    ...(helo === undefined ? {} : { helo }),
    ...(user === undefined ? {} : { user }),
    ...(typeof rdns === 'string' || rdns === null ? { rdns } : {}),
    ...(entry['thisHost'] === true ? { thisHost: true } : {}),
  }
}

function isDemand(value: unknown): value is Demand {
  const { action, kind, reason } = (value ?? {}) as Readonly<Record<string, unknown>>
  return ['junk', 'quarantine', 'reject', 'discard'].includes(String(action)) && [kind, reason].every(isText)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function text(value: unknown): string | undefined {
  return isText(value) && value !== '' ? value : undefined
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(isText) : []
}

function mailboxes(value: unknown): readonly Mailbox[] {
  return texts(value).flatMap((one) => parseMailbox(one) ?? [])
}
