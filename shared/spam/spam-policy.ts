import type {
  BlockedCondition,
  PipelineSettings,
  SpamAction,
  SpamCondition,
  SpamPolicy,
  SpamThresholds,
  Table,
} from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import { domainOf } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'

type SpamSettings = PipelineSettings['spam']

/** What holds for one message. */
export type SpamRules = SpamThresholds & Pick<SpamSettings, 'header' | 'subject'>

const actions: readonly SpamAction[] = ['junk', 'quarantine', 'reject', 'discard']

/**
 * The thresholds of a message: for each recipient those of the first policy that fits, over the general ones. Its copies travel
 * together, so that the mildest threshold of all recipients holds for all: one recipient's strictness takes no mail from another.
 * @throws TableError
 */
export function rulesFor(
  settings: SpamSettings,
  envelope: Envelope,
  pending: readonly number[],
  tables: TableSet,
): SpamRules {
  const { policies } = settings
  if (policies.length === 0) return settings
  const found = new Set<SpamPolicy | undefined>()
  for (const index of pending) {
    const mailbox = envelope.recipients[index]?.mailbox
    if (mailbox !== undefined) found.add(policies.find((policy) => fits(policy, envelope, mailbox, tables)))
  }
  const [first = settings, ...others] = [...found].map((policy) => apply(settings, policy))
  return others.reduce(mildest, first)
}

function fits({ for: condition }: SpamPolicy, envelope: Envelope, mailbox: Mailbox, tables: TableSet): boolean {
  switch (condition.kind) {
    case 'tag':
      return hasTag(envelope, condition.tag)
    case 'domain':
      return tables.matchesDomain(condition.table, domainOf(mailbox))
    case 'recipient':
      return tables.matchesMailbox(condition.table, mailbox)
  }
}

function apply(settings: SpamSettings, policy: SpamPolicy | undefined): SpamRules {
  const { header } = settings
  const subject = policy?.subject ?? settings.subject
  const rules: Record<string, unknown> = { header, ...(subject === undefined ? {} : { subject }) }
  for (const action of actions) {
    const threshold = policy?.[action] ?? settings[action]
    if (threshold !== undefined && threshold !== 'never') rules[action] = threshold
  }
  return rules as unknown as SpamRules
}

function mildest(one: SpamRules, other: SpamRules): SpamRules {
  const { header, subject } = one
  const thresholds = actions.flatMap((action) => {
    const [left, right] = [one[action], other[action]]
    return left === undefined || right === undefined ? [] : [[action, Math.max(left, right)] as const]
  })
  return { header, ...(subject === undefined ? {} : { subject }), ...Object.fromEntries(thresholds) }
}

/** Why a message is not looked through for spam; `proven`: only if SPF proves that its reverse-path is no forgery. */
export interface Trust {
  readonly reason: string
  readonly needsProof: boolean
}

/** The condition of `spam clean` that fits; one that needs no proof before the others. @throws TableError */
export function trustOf(settings: SpamSettings, envelope: Envelope, tables: TableSet): Trust | undefined {
  if (settings.clean.length === 0) return undefined
  const fitting = settings.clean.filter((condition) => holds(condition, envelope, tables))
  const best = fitting.find(({ kind }) => kind !== 'mail-from') ?? fitting[0]
  return best === undefined ? undefined : { reason: describe(best), needsProof: best.kind === 'mail-from' }
}

/** Why a message is spam without a look: the first condition of `spam blocked` that fits. @throws TableError */
export function blockOf(
  { blocked }: SpamSettings,
  envelope: Envelope,
  pending: readonly number[],
  tables: TableSet,
): string | undefined {
  const fitting = blocked.find((condition) => isBlocked(condition, envelope, pending, tables))
  if (fitting === undefined) return undefined
  return fitting.kind === 'rcpt-to' ? `recipients in ${named(fitting.table)}` : describe(fitting)
}

/** Whoever forges a blocked sender gets what he asks for: no proof is needed. */
function isBlocked(
  condition: BlockedCondition,
  envelope: Envelope,
  pending: readonly number[],
  tables: TableSet,
): boolean {
  switch (condition.kind) {
    case 'tag':
    case 'src':
      return holds(condition, envelope, tables)
    case 'mail-from':
      return envelope.reversePath !== null && tables.matchesMailbox(condition.table, envelope.reversePath)
    case 'rcpt-to': {
      const mailboxes = pending.flatMap((index) => envelope.recipients[index]?.mailbox ?? [])
      return mailboxes.length > 0 && mailboxes.every((mailbox) => tables.matchesMailbox(condition.table, mailbox))
    }
  }
}

function holds(condition: SpamCondition, envelope: Envelope, tables: TableSet): boolean {
  switch (condition.kind) {
    case 'tag':
      return hasTag(envelope, condition.tag)
    case 'src': {
      const { address } = envelope.origin
      return address !== undefined && tables.matchesAddress(condition.table, address)
    }
    case 'mail-from': {
      const { reversePath } = envelope
      return (
        reversePath !== null &&
        tables.matchesMailbox(condition.table, reversePath) &&
        !tables.matchesMailbox(condition.table, anybodyNamed(reversePath))
      )
    }
  }
}

/** An entry that is only a user part fits any domain, those of strangers too: it proves nothing, and does not count. */
function anybodyNamed(reversePath: Mailbox): string {
  return `${reversePath.slice(0, reversePath.lastIndexOf('@'))}@nobody.invalid`
}

function describe(condition: SpamCondition): string {
  if (condition.kind === 'tag') return `tag ${condition.tag}`
  return `${condition.kind === 'src' ? 'client' : 'sender'} in ${named(condition.table)}`
}

/** Stands in the header: an inline list has no name, and who is on it is nobody else's business. */
function named({ name, source }: Table): string {
  return source.kind === 'inline' && name.startsWith('<') ? 'a list' : `<${name}>`
}

export function hasTag({ tags }: Envelope, wanted: string): boolean {
  return tags.some((tag) => tag.toLowerCase() === wanted.toLowerCase())
}
