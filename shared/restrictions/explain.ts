import { findClientName } from '../client-name.ts'
import { settle } from '../config/settle.ts'
import type { Configuration, Listener } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { formatReply } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import type { Resolver } from '../resolver.ts'
import { resolveForwardPath } from '../routing/forward-path.ts'
import type { Transaction } from '../routing/transaction.ts'
import { boundedDns } from './dns.ts'
import { evaluate } from './evaluate.ts'
import type { Means, Question, SaidPath } from './question.ts'
import { restrictionLists } from './restriction-lists.ts'
import { stranger } from './stranger.ts'

/** What the restrictions of a listener say to a recipient. */
export interface RestrictionExplanation {
  /** As smtpd.conf listens. */
  readonly listener: string
  /** In order, up to what refuses. */
  readonly steps: readonly ExplainedRestriction[]
  /** What RCPT answers; absent: the rules of smtpd.conf do. */
  readonly refusal?: Reply
}

export interface ExplainedRestriction {
  /** file:line */
  readonly at: string
  readonly text: string
  /** `next`: it decides nothing, `permit`: it ends its list, else the reply. */
  readonly finding: 'next' | 'permit' | Reply
}

export interface RestrictionInquiry {
  readonly configuration: Configuration
  readonly listener: Listener
  readonly transaction: Transaction
  readonly recipient: Mailbox
  readonly tables: TableSet
  readonly resolver: Resolver
  readonly localAddresses: ReadonlySet<string>
  readonly nowAt: number
}

const stages = ['connect', 'helo', 'mail', 'rcpt'] as const

/**
 * Goes through the lists up to RCPT, DNS included. Nobody waits: `sleep` takes no time, and greylisting counts as over. Absent: the
 * listener has none, or the message is made here. @throws TableError
 */
export async function explainRestrictions(inquiry: RestrictionInquiry): Promise<RestrictionExplanation | undefined> {
  const { configuration, listener, transaction } = inquiry
  const lists = restrictionLists(configuration, listener)
  if (lists === undefined || transaction.peer === 'local') return undefined
  const question = questionOf(inquiry, transaction.peer.address)
  const means = meansOf(inquiry)
  const steps: ExplainedRestriction[] = []
  for (const stage of stages) {
    const verdict = await evaluate(lists.stages.get(stage) ?? [], question, means, ({ at, text }, finding) =>
      steps.push({ at: `${at.file}:${at.line}`, text, finding }),
    )
    if (verdict.kind === 'refused') return { listener: nameOf(listener), steps, refusal: verdict.reply }
  }
  return { listener: nameOf(listener), steps }
}

/** For a terminal. */
export function renderRestrictions({ listener, steps, refusal }: RestrictionExplanation): string {
  const lines = steps.map(({ at, text, finding }) => {
    if (typeof finding === 'object') return `  ${at}: ${text}\n    refuses: ${formatReply(finding)}`
    return `  ${at}: ${text}\n    ${finding === 'permit' ? 'permits: the list ends' : 'no'}`
  })
  const end = refusal === undefined ? 'not refused' : `refused: ${formatReply(refusal)}`
  return [`restrictions of the listener on ${listener}`, ...lines, `  => ${end}`].join('\n')
}

function questionOf(inquiry: RestrictionInquiry, address: string): Question {
  const { transaction, recipient, localAddresses, resolver } = inquiry
  const { helo, user, tls, reversePath } = transaction
  return {
    client: { address, own: localAddresses.has(address), name: () => findClientName(resolver, address) },
    secure: tls,
    pipelined: false,
    ...(helo === undefined ? {} : { helo }),
    ...(user === undefined ? {} : { user }),
    sender: { text: reversePath ?? '', mailbox: reversePath, bare: false },
    recipient: said(recipient),
    asStranger: (mailbox) => asStranger(inquiry, mailbox),
    firstTime: () => true,
  }
}

function meansOf({ tables, resolver, configuration }: RestrictionInquiry): Means {
  return {
    tables,
    dns: boundedDns(resolver),
    delimiter: configuration.subAddressDelimiter,
    sleep: () => Promise.resolve(),
    greylist: { waitMs: () => Promise.resolve(0) },
    spfPasses: () => Promise.resolve(false),
    log: silentLog(),
  }
}

async function asStranger(inquiry: RestrictionInquiry, mailbox: Mailbox) {
  const { configuration, tables, localAddresses, transaction, nowAt } = inquiry
  const { tags, reversePath } = transaction
  const asked = { peer: { address: stranger }, tls: false, tags, reversePath }
  return settle(tables, (settled) =>
    resolveForwardPath({ configuration, tables: settled, localAddresses, transaction: asked }, mailbox, nowAt),
  )
}

function said(mailbox: Mailbox): SaidPath {
  return { text: mailbox, mailbox, bare: false }
}

function nameOf({ on, port, tag }: Listener): string {
  return `${on} port ${port}${tag === undefined ? '' : ` tag ${tag}`}`
}
