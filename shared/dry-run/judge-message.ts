import { basename } from 'node:path'

import { renderAction } from '../config/render-action.ts'
import type { Configuration } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import { domainOf } from '../mail/address.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { Envelope, Origin, Recipient } from '../mail/envelope.ts'
import { isPermanent, replies } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { tag, withTag } from '../mail/tag.ts'
import type { Tag } from '../mail/tag.ts'
import { maxVisits } from '../pipeline/plan.ts'
import { transactionOf } from '../pipeline/router.ts'
import { forwardPathOf, resolveForwardPath } from '../routing/forward-path.ts'
import { journeyOf } from '../routing/journey.ts'
import { rewrittenAddress } from '../routing/rewriting.ts'
import { routeRecipient } from '../routing/route.ts'
import type { Route, RuleReference } from '../routing/route.ts'
import type { RoutingContext, Transaction } from '../routing/transaction.ts'
import { listenerOf } from './listener-of.ts'
import { NotRecorded } from './not-recorded.ts'
import type { RecordedMessage } from './recorded-message.ts'
import { verdictOf } from './verdict-of.ts'
import type { FilterAction } from './verdict-of.ts'

/** What a configuration makes of a message for one address. */
export interface Outcome {
  /** For people; the line of smtpd.conf where mail is refused. */
  readonly text: string
  /** Equal when the same happens, whatever line says so. */
  readonly identity: string
  /** What `RecordedMessage.ends` says when this happened. */
  readonly ends: ReadonlySet<string>
}

export interface Judge {
  readonly configuration: Configuration
  readonly tables: TableSet
  readonly localAddresses: ReadonlySet<string>
}

/**
 * Lets a recorded message go its whole way through a configuration: rewriting, RCPT with aliases and users, the rules, and the filter's
 * thresholds on what it had found. A queue that is no filter is taken to let it pass, with its tag.
 * @throws NotRecorded when the way depends on what nobody wrote down. @throws TableError
 */
export function judgeMessage(judge: Judge, message: RecordedMessage): ReadonlyMap<Mailbox, Outcome> {
  const { tags, origin } = beginningOf(judge, message)
  const reversePath = writtenSender(judge, message, tags, origin)
  const outcomes = new Map<Mailbox, Outcome>()
  const copies: Copy[] = []
  for (const asked of message.asked) {
    const found = answerTo(judge, { message, asked, tags, origin, reversePath })
    if (found.kind === 'accepted') copies.push(...found.copies)
    else outcomes.set(asked, outcomeOf([refusal(found.reply, found.rule)]))
  }
  const ends = new Map<Mailbox, readonly End[]>()
  const way: Way = { judge, message, origin, reversePath, ends }
  follow(way, { copies, tags, path: [], isJunk: false })
  for (const [asked, all] of ends) outcomes.set(asked, outcomeOf(all))
  return outcomes
}

interface Copy {
  readonly asked: Mailbox
  readonly recipient: Recipient
}

/** Where one copy ends. */
interface End {
  readonly text: string
  readonly identity: string
  readonly recorded: string
}

function beginningOf({ configuration }: Judge, { kind, client }: RecordedMessage): Pick<Envelope, 'tags' | 'origin'> {
  if (kind === 'made') return { tags: [], origin: { kind: 'local' } }
  if (client === undefined) throw new NotRecorded('the client is not in the record')
  const listener = listenerOf(configuration.listeners, client.listener)
  const { address, helo, user, tls, rdns, thisHost } = client
  const origin: Origin = {
    kind: 'smtp',
    address,
    listener: client.listener,
    ...(helo === undefined ? {} : { helo }),
    ...(user === undefined ? {} : { user }),
    ...(tls ? { tls: { version: '', cipher: '' } } : {}),
    ...(typeof rdns === 'string' ? { rdns } : {}),
    ...(thisHost === undefined ? {} : { thisHost }),
  }
  return { tags: listener.tag === undefined ? [] : [tag(listener.tag)], origin }
}

/** As `transactionOf`; who asks for a name of the client that nobody wrote down is told so. */
function recordedTransaction(
  { client }: RecordedMessage,
  envelope: Pick<Envelope, 'tags' | 'origin' | 'reversePath'>,
  hops: number,
): Transaction {
  const transaction = transactionOf(envelope, hops)
  const { peer } = transaction
  if (peer === 'local' || client?.rdns !== undefined) return transaction
  return {
    ...transaction,
    peer: {
      ...peer,
      get rdns(): string {
        throw new NotRecorded('the name of the client is not in the record')
      },
    },
  }
}

function contextOf(judge: Judge, transaction: Transaction): RoutingContext {
  return { ...judge, transaction }
}

/** It is recorded as it was written then: that is written again. */
function writtenSender(judge: Judge, message: RecordedMessage, tags: readonly Tag[], origin: Origin): ReversePath {
  if (message.from === null || message.kind === 'made') return message.from
  const transaction = recordedTransaction(message, { tags, origin, reversePath: message.from }, 0)
  return rewrittenAddress(contextOf(judge, transaction), message.from, { of: 'sender', in: 'envelope' })
}

interface Asked {
  readonly message: RecordedMessage
  readonly asked: Mailbox
  readonly tags: readonly Tag[]
  readonly origin: Origin
  readonly reversePath: ReversePath
}

type Answer =
  | { readonly kind: 'accepted'; readonly copies: readonly Copy[] }
  | { readonly kind: 'rejected'; readonly reply: Reply; readonly rule: RuleReference | undefined }

/** The answer to RCPT. What was made here is recorded with its aliases followed. */
function answerTo(judge: Judge, { message, asked, ...envelope }: Asked): Answer {
  if (message.kind === 'made') return { kind: 'accepted', copies: [{ asked, recipient: { mailbox: asked } }] }
  const context = contextOf(judge, recordedTransaction(message, envelope, 0))
  const resolution = resolveForwardPath(context, asked, message.at)
  if (resolution.kind === 'rejected') {
    const path = forwardPathOf(context, asked, message.at)
    const last = path === undefined ? undefined : journeyOf(path.context, path.mailbox).last.route
    return { ...resolution, rule: last?.kind === 'reject' ? last.rule : undefined }
  }
  const copies = resolution.recipients.map(({ mailbox, target }) => ({
    asked,
    recipient: {
      mailbox,
      ...(target === undefined ? {} : { target }),
      ...(mailbox === asked ? {} : { original: asked }),
    },
  }))
  return { kind: 'accepted', copies }
}

interface Way {
  readonly judge: Judge
  readonly message: RecordedMessage
  readonly origin: Origin
  readonly reversePath: ReversePath
  /** Filled on the way. */
  readonly ends: Map<Mailbox, readonly End[]>
}

/** Copies that travel together, and what they have behind them. */
interface Group {
  readonly copies: readonly Copy[]
  readonly tags: readonly Tag[]
  readonly path: readonly string[]
  readonly isJunk: boolean
}

/** As the pipeline does: each copy is routed, and those for the same queue enter it together. */
function follow(way: Way, { copies, tags, path, isJunk }: Group): void {
  const { judge, message, origin, reversePath } = way
  const transaction = recordedTransaction(message, { tags, origin, reversePath }, path.length)
  const stages = new Map<string, { readonly tag: Tag; readonly copies: Copy[] }>()
  for (const copy of copies) {
    const { mailbox, original } = copy.recipient
    const request = { ...contextOf(judge, transaction), recipient: mailbox }
    const route = routeRecipient(original === undefined ? request : { ...request, original })
    if (route.kind !== 'stage') note(way, copy, endOf(judge, route, copy, isJunk))
    else if (path.filter((queue) => queue === route.queue).length >= maxVisits)
      note(way, copy, refusal(replies.routingLoop, route.rule))
    else if (stages.has(route.queue)) stages.get(route.queue)?.copies.push(copy)
    else stages.set(route.queue, { tag: route.tag, copies: [copy] })
  }
  for (const [queue, stage] of stages) {
    const verdict = queue === 'filter' ? filterVerdict(way, stage.copies, tags) : 'clean'
    if (verdict === 'clean' || verdict === 'junk') {
      const junk = isJunk || verdict === 'junk'
      follow(way, { copies: stage.copies, tags: withTag(tags, stage.tag), path: [...path, queue], isJunk: junk })
    } else for (const copy of stage.copies) note(way, copy, filterEnds[verdict])
  }
}

function note({ ends }: Way, { asked }: Copy, end: End): void {
  ends.set(asked, [...(ends.get(asked) ?? []), end])
}

function filterVerdict(
  { judge, message, origin, reversePath }: Way,
  copies: readonly Copy[],
  tags: readonly Tag[],
): FilterAction | 'unknown' {
  if (message.verdict === undefined && message.kind === 'refused') return 'unknown'
  const recipients = copies.map(({ recipient }) => recipient)
  const envelope = { id: message.id, reversePath, recipients, tags, origin, receivedAt: message.at }
  return verdictOf(judge.configuration.pipeline.spam, message.verdict, envelope, judge.tables)
}

const filterEnds: Readonly<Record<Exclude<FilterAction, 'clean' | 'junk'> | 'unknown', End>> = {
  // It was refused before anybody could look at it.
  unknown: { text: 'accepted, for the filter', identity: 'accepted', recorded: 'accepted' },
  quarantine: { text: 'held by the filter', identity: 'held', recorded: 'held' },
  reject: { text: 'rejected by the filter', identity: 'rejected', recorded: 'rejected' },
  discard: { text: 'discarded by the filter', identity: 'discarded', recorded: 'discarded' },
}

function endOf(judge: Judge, route: Exclude<Route, { kind: 'stage' }>, { recipient }: Copy, isJunk: boolean): End {
  if (route.kind === 'reject') return refusal(route.reply, route.rule)
  const { mailbox, target } = recipient
  const action = judge.configuration.actions.get(route.action)
  const how = action === undefined ? '' : renderAction(action).text
  const junk = isJunk ? ' as junk' : ''
  if (route.kind === 'local') {
    const text = `delivered by "${route.action}"${junk}`
    const identity = [text, how, mailbox, target?.kind, target?.text].join(' ')
    return { text, identity, recorded: `delivered "${route.action}"` }
  }
  const host = route.destination === domainOf(mailbox) ? '' : ` to ${route.destination}`
  const text = `relayed by "${route.action}"${host}${junk}`
  return { text, identity: [text, how, mailbox].join(' '), recorded: `relayed "${route.action}"` }
}

function refusal(reply: Reply, rule: RuleReference | undefined): End {
  const { code, enhanced } = reply
  const where = rule === undefined ? [code, enhanced].join(' ').trim() : `${basename(rule.file)}:${rule.line}`
  if (isPermanent(reply)) return { text: `rejected (${where})`, identity: 'rejected', recorded: 'rejected' }
  return { text: `put off (${[code, enhanced].join(' ').trim()})`, identity: 'put off', recorded: 'put off' }
}

/** Of all copies that an address leads to. */
function outcomeOf(ends: readonly End[]): Outcome {
  const distinct = (texts: readonly string[]): readonly string[] => [...new Set(texts)].toSorted()
  return {
    text: distinct(ends.map(({ text }) => text)).join(' and '),
    identity: distinct(ends.map(({ identity }) => identity)).join('\n'),
    ends: new Set(ends.map(({ recorded }) => recorded)),
  }
}
