import { isChosen } from '../config/listener-choice.ts'
import type { Configuration, Listener, Restriction, RestrictionStage } from '../config/model.ts'
import { subjectsOf } from '../config/restriction-subjects.ts'

/** The restrictions of one listener. */
export interface RestrictionLists {
  /** Each stage has one, which may be empty. */
  readonly stages: ReadonlyMap<RestrictionStage, readonly Restriction[]>
  /** Refusals of connect, helo and mail wait for RCPT. */
  readonly delayed: boolean
  /** Some list asks whether the client waits for replies. */
  readonly watchesPipelining: boolean
  /** Addresses without a domain are refused by a list, no sooner. */
  readonly takesBare: Readonly<Record<'sender' | 'recipient', boolean>>
}

const stages = ['connect', 'helo', 'mail', 'rcpt', 'data'] as const

/** Absent: no restriction is for this listener, and its sessions pay for none. */
export function restrictionLists(
  { pipeline }: Pick<Configuration, 'pipeline'>,
  listener: Pick<Listener, 'on' | 'port' | 'tag'>,
): RestrictionLists | undefined {
  const own = pipeline.restrictions.filter((one) => isChosen(one.for, listener))
  if (own.length === 0) return undefined
  const has = (kind: Restriction['rule']['kind'], fault?: string): boolean =>
    own.some(({ rule }) => rule.kind === kind && (fault === undefined || ('fault' in rule && rule.fault === fault)))
  return {
    stages: new Map(stages.map((stage) => [stage, own.filter((one) => one.stage === stage)])),
    delayed: pipeline.delayRefusals,
    watchesPipelining: has('pipelining'),
    takesBare: { sender: has('sender', 'non-fqdn'), recipient: has('recipient', 'non-fqdn') },
  }
}

/** Whether a list says something about each recipient: then it is gone through for each. */
export function asksForRecipient(list: readonly Restriction[]): boolean {
  return list.some(({ rule }) => subjectsOf(rule).includes('recipient'))
}
