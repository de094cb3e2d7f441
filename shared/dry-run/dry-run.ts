import { basename } from 'node:path'

import type { Restriction } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import { TableError } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import type { MessageId } from '../mail/message-id.ts'
import { judgeMessage } from './judge-message.ts'
import type { Judge, Outcome } from './judge-message.ts'
import { isSame, refusedBy, restrictionsOn } from './judge-restrictions.ts'
import { listenerOf } from './listener-of.ts'
import { NotRecorded } from './not-recorded.ts'
import type { RecordedMessage } from './recorded-message.ts'
import { recordedTraffic } from './recorded-traffic.ts'
import { settingsNotTried } from './settings-not-tried.ts'

/** What another configuration would change. Counts are of recipients as clients named them. */
export interface DryRun {
  /** Epoch ms: of what came since then. */
  readonly sinceAt: number
  readonly messages: number
  readonly recipients: number
  readonly unchanged: number
  readonly changed: number
  readonly notJudged: number
  /** Of those that were judged: another end than the configuration in force would give them. It, a table or a user has changed since. */
  readonly changedSince: number
  /** The most frequent first. */
  readonly changes: readonly OutcomeChange[]
  readonly reasons: readonly { readonly reason: string; readonly recipients: number }[]
  /** Settings that differ and make no difference here, whatever they would do: `pipeline.rates`. */
  readonly notTried: readonly string[]
}

export interface OutcomeChange {
  readonly from: string
  readonly to: string
  readonly recipients: number
  /** Of the first of them. */
  readonly examples: readonly {
    readonly id: MessageId
    readonly from: string | null
    readonly to: string
  }[]
}

export interface DryRunRequest {
  /** Of the journal. */
  readonly folder: string
  readonly sinceAt: number
  /** No more messages than these, those that came to their end first. */
  readonly limit: number
  readonly inForce: Judge
  readonly changed: Judge
  /** Told how many messages were judged so far. */
  readonly onJudged?: (messages: number) => void
}

const mostExamples = 3

/**
 * Judges recorded traffic by two configurations and tells where they differ. Both look at the same record and the same tables, so that
 * the difference is the configuration's alone. Reads, and does nothing else; memory does not grow with the traffic.
 */
export async function dryRun(request: DryRunRequest): Promise<DryRun> {
  const { folder, sinceAt, limit, inForce, changed, onJudged } = request
  const tally = new Tally()
  const compare = comparison(inForce, changed)
  for await (const message of recordedTraffic(folder, sinceAt)) {
    if (tally.messages >= limit) break
    tally.add(message, await compare(message))
    onJudged?.(tally.messages)
  }
  return { sinceAt, ...tally.result(), notTried: settingsNotTried(inForce.configuration, changed.configuration) }
}

interface Pair {
  readonly now: Outcome
  readonly next: Outcome
}

type Compared =
  | { readonly kind: 'not-judged'; readonly reason: string }
  | { readonly kind: 'judged'; readonly pairs: ReadonlyMap<Mailbox, Pair> }

function comparison(inForce: Judge, changed: Judge): (message: RecordedMessage) => Promise<Compared> {
  const restrictions = restrictionsBetween(inForce, changed)
  return async (message) => {
    try {
      const asked = restrictions(message)
      const now = await outcomesBy(inForce, message, asked && { ...asked, other: asked.changed })
      if (message.kind === 'refused' && [...now.values()].some(({ identity }) => identity !== 'rejected'))
        throw new NotRecorded('refused in the session for what is not in the record: a limit, its content, a mailbox')
      const next = await outcomesBy(changed, message, asked && { ...asked, other: asked.inForce })
      const pairs = new Map<Mailbox, Pair>()
      for (const mailbox of message.asked) {
        const [one, other] = [now.get(mailbox), next.get(mailbox)]
        if (one !== undefined && other !== undefined) pairs.set(mailbox, { now: one, next: other })
      }
      return { kind: 'judged', pairs }
    } catch (error) {
      if (error instanceof NotRecorded) return { kind: 'not-judged', reason: error.message }
      if (error instanceof TableError) return { kind: 'not-judged', reason: 'a table cannot be read or asked' }
      throw error
    }
  }
}

interface AskedRestrictions {
  readonly inForce: readonly Restriction[]
  readonly changed: readonly Restriction[]
  /** The one that refused it then. */
  readonly known: Restriction | undefined
}

/** Absent: both configurations ask the same, and it was not refused by that. @throws NotRecorded */
function restrictionsBetween(
  inForce: Judge,
  changed: Judge,
): (message: RecordedMessage) => AskedRestrictions | undefined {
  const known = new Map<string, { readonly lists: Omit<AskedRestrictions, 'known'>; readonly isEqual: boolean }>()
  const of = ({ configuration }: Judge, listener: string): readonly Restriction[] =>
    restrictionsOn(configuration, listenerOf(configuration.listeners, listener))
  function between(listener: string) {
    const found = known.get(listener)
    if (found !== undefined) return found
    const lists = { inForce: of(inForce, listener), changed: of(changed, listener) }
    const isEqual =
      lists.inForce.length === lists.changed.length &&
      lists.inForce.every((one, index) => isSame(one, lists.changed[index] ?? one))
    known.set(listener, { lists, isEqual })
    return { lists, isEqual }
  }
  return ({ client, kind, restriction }) => {
    if (client === undefined) return undefined
    if (kind === 'refused' && client.rdns === undefined)
      throw new NotRecorded('the refusal is in the form of an older version')
    const { lists, isEqual } = between(client.listener)
    if (restriction === undefined) return isEqual ? undefined : { ...lists, known: undefined }
    const refused = lists.inForce.find(({ at }) => `${at.file}:${at.line}` === restriction)
    if (refused === undefined) throw new NotRecorded('refused by a limit, or by a restriction that has changed since')
    return { ...lists, known: refused }
  }
}

type OwnRestrictions = Pick<AskedRestrictions, 'known'> & { readonly other: readonly Restriction[] }

async function outcomesBy(
  judge: Judge,
  message: RecordedMessage,
  restrictions: OwnRestrictions | undefined,
): Promise<ReadonlyMap<Mailbox, Outcome>> {
  const { client } = message
  const refused = new Map<Mailbox, Outcome>()
  if (restrictions !== undefined && client !== undefined) {
    for (const mailbox of message.asked) {
      const by = await refusedBy(judge, { ...message, client }, mailbox, restrictions.other, restrictions.known)
      if (by !== undefined) refused.set(mailbox, refusal(by))
    }
  }
  const asked = message.asked.filter((mailbox) => !refused.has(mailbox))
  if (asked.length === 0) return refused
  const rest = { ...message, asked }
  const outcomes = await settle(judge.tables, (tables) => judgeMessage({ ...judge, tables }, rest))
  return refused.size === 0 ? outcomes : new Map([...refused, ...outcomes])
}

function refusal({ at }: Restriction): Outcome {
  return {
    text: `rejected (${basename(at.file)}:${at.line})`,
    identity: 'rejected',
    ends: new Set(['rejected']),
  }
}

/** Sums. There are no more kinds of change than the files have lines for. */
class Tally {
  messages = 0
  #recipients = 0
  #unchanged = 0
  #changed = 0
  #notJudged = 0
  #changedSince = 0
  readonly #reasons = new Map<string, number>()
  readonly #changes = new Map<string, { -readonly [Key in keyof OutcomeChange]: OutcomeChange[Key] }>()

  add(message: RecordedMessage, compared: Compared): void {
    this.messages += 1
    this.#recipients += message.asked.length
    if (compared.kind === 'not-judged') {
      this.#notJudged += message.asked.length
      this.#reasons.set(compared.reason, (this.#reasons.get(compared.reason) ?? 0) + message.asked.length)
      return
    }
    for (const [mailbox, { now, next }] of compared.pairs) {
      if (isOtherEnd(message.ends.get(mailbox), now.ends)) this.#changedSince += 1
      if (now.identity === next.identity) this.#unchanged += 1
      else this.#change(message, mailbox, now, next)
    }
  }

  result(): Omit<DryRun, 'sinceAt' | 'notTried'> {
    return {
      messages: this.messages,
      recipients: this.#recipients,
      unchanged: this.#unchanged,
      changed: this.#changed,
      notJudged: this.#notJudged,
      changedSince: this.#changedSince,
      changes: mostFirst([...this.#changes.values()], ({ from, to }) => `${from} ${to}`),
      reasons: mostFirst(
        [...this.#reasons].map(([reason, recipients]) => ({ reason, recipients })),
        ({ reason }) => reason,
      ),
    }
  }

  #change({ id, from }: RecordedMessage, to: Mailbox, now: Outcome, next: Outcome): void {
    this.#changed += 1
    // The same words, and yet not the same: an action of that name does something else, or an alias leads elsewhere.
    const text = now.text === next.text ? `${next.text}, in another way or to another address` : next.text
    const key = `${now.text}\n${text}`
    const change = this.#changes.get(key) ?? { from: now.text, to: text, recipients: 0, examples: [] }
    this.#changes.set(key, change)
    change.recipients += 1
    if (change.examples.length < mostExamples) change.examples = [...change.examples, { id, from, to }]
  }
}

function isOtherEnd(recorded: ReadonlySet<string> | undefined, judged: ReadonlySet<string>): boolean {
  if (recorded === undefined) return false
  return recorded.size !== judged.size || [...recorded].some((end) => !judged.has(end))
}

function mostFirst<Counted extends { readonly recipients: number }>(
  all: readonly Counted[],
  nameOf: (one: Counted) => string,
): readonly Counted[] {
  return all.toSorted(
    (one, other) => other.recipients - one.recipients || nameOf(one).localeCompare(nameOf(other), 'en'),
  )
}
