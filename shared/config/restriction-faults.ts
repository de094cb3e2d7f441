import { faultOfChoice, isChosen } from './listener-choice.ts'
import type { ListenerChoice } from './listener-choice.ts'
import type { Lint } from './lints.ts'
import { subjectsOf } from './restriction-subjects.ts'
import { asksForCertificate, sessionSettings } from './session-rules.ts'
import type { SessionRule } from './session-rules.ts'
import type { Configuration, Listener, Restriction, RestrictionRule, RestrictionStage } from './model.ts'

const stages: readonly RestrictionStage[] = ['connect', 'helo', 'mail', 'rcpt', 'data']
/** What is known only from this stage on. */
const knownFrom = { client: 'connect', helo: 'helo', sender: 'mail', recipient: 'rcpt' } as const

/** Restrictions that can do nothing: they are for no listener, or ask for what is not known at their stage. */
export function restrictionFaults({ pipeline, listeners }: Configuration): readonly Lint[] {
  return pipeline.restrictions.flatMap((restriction) => [
    ...faultsOfListener(restriction, listeners),
    ...(pipeline.delayRefusals ? [] : faultsOfStage(restriction)),
  ])
}

/** What is carried out, and seldom what was meant. */
export function restrictionLints({ pipeline, listeners }: Configuration): readonly Lint[] {
  const early = pipeline.delayRefusals ? [] : pipeline.restrictions.flatMap((one) => beforeLogin(one))
  const inLists = stages.flatMap((stage) => {
    const list = pipeline.restrictions.filter((one) => one.stage === stage)
    return list.flatMap((restriction, index) => [
      ...unreachable(restriction, list.slice(0, index)),
      ...earlyPipelining(restriction),
      ...lookUpsForTrusted(restriction, list.slice(index + 1)),
      ...idleScore(restriction, list, index),
    ])
  })
  const unasked = pipeline.restrictions.flatMap((one) => withoutCertificate(one, listeners, pipeline.sessions))
  return [...early, ...unasked, ...inLists]
}

/** Nobody shows a certificate who is not asked for one. */
function withoutCertificate(
  { rule, for: choice, at }: Restriction,
  listeners: readonly Listener[],
  sessions: readonly SessionRule[],
): readonly Lint[] {
  if (!asksOfCertificate(rule)) return []
  const chosen = listeners.filter((listener) => choice === undefined || isChosen(choice, listener))
  if (chosen.some((listener) => asksForCertificate(listener, sessionSettings(sessions, listener)))) return []
  const hint = 'write `client-certificate ask` here, or `verify` at the listener in smtpd.conf'
  return [{ at, fault: { code: 'no-effect', message: 'no listener of it asks clients for a certificate', hint } }]
}

/** Without delay, the list of connect is asked before anybody can log in. */
function beforeLogin({ stage, rule, at }: Restriction): readonly Lint[] {
  const isAsked = (rule.kind === 'permit' || rule.kind === 'reply') && rule.when?.kind === 'authenticated'
  if (stage !== 'connect' || !isAsked) return []
  const message = 'with `restrict delay off` the list of connect is asked before anybody can log in'
  return [{ at, fault: { code: 'no-effect', message, hint: 'write it in the list of mail or rcpt' } }]
}

function asksOfCertificate(rule: RestrictionRule): boolean {
  if (rule.kind === 'check') return rule.subject === 'certificate'
  const when = rule.kind === 'permit' || rule.kind === 'reply' ? rule.when : undefined
  return when?.kind === 'certificate' || when?.kind === 'certificate-table'
}

function faultsOfListener({ for: choice, at }: Restriction, listeners: readonly Listener[]): readonly Lint[] {
  const fault = faultOfChoice(choice, listeners)
  return fault === undefined ? [] : [{ at, fault }]
}

function faultsOfStage({ stage, rule, at }: Restriction): readonly Lint[] {
  const unknown = subjectsOf(rule).find((one) => stages.indexOf(knownFrom[one]) > stages.indexOf(stage))
  if (unknown === undefined) return []
  const message = `with \`restrict delay off\` the list of ${stage} is asked before the ${unknown} is known`
  const hint = `write it in the list of ${knownFrom[unknown]}, or leave out \`restrict delay off\``
  return [{ at, fault: { code: 'conflict', message, hint } }]
}

function unreachable(restriction: Restriction, before: readonly Restriction[]): readonly Lint[] {
  const end = before.find((one) => decidesAlways(one) && covers(one, restriction))
  if (end === undefined) return []
  const message = `this restriction is never asked: \`${end.text}\` in line ${end.at.line} ends the list`
  return [{ at: restriction.at, fault: { code: 'unreachable', message, hint: 'put it before that one, or remove it' } }]
}

/** Clients of others send a group of commands at once, and are told 503 for each recipient. */
function earlyPipelining({ stage, rule, at }: Restriction): readonly Lint[] {
  if (rule.kind !== 'pipelining' || stage === 'data') return []
  const message = `\`reject pipelining\` in the list of ${stage} refuses each recipient with 503, of which clients make little`
  const hint = 'write `restrict data reject pipelining`'
  return [{ at, fault: { code: 'restriction-order', message, hint } }]
}

/** DNS has a say about clients that a later line trusts. */
function lookUpsForTrusted(restriction: Restriction, behind: readonly Restriction[]): readonly Lint[] {
  if (!asksDns(restriction)) return []
  const permit = behind.find((one) => permitsNetworks(one) && meet(one, restriction))
  if (permit === undefined) return []
  const message = `clients that line ${permit.at.line} permits are refused here when DNS says so, or cannot be asked`
  const hint = `put \`${permit.text}\` before it, when they are to be trusted`
  return [{ at: restriction.at, fault: { code: 'restriction-order', message, hint } }]
}

function idleScore({ rule, at }: Restriction, list: readonly Restriction[], index: number): readonly Lint[] {
  const isScored = (one: Restriction): boolean => one.rule.kind === 'dnsbl' && one.rule.score !== undefined
  if (rule.kind === 'dnsbl-score' && !list.slice(0, index).some((one) => isScored(one))) {
    const hint = 'write `dnsbl "zone" score N` before it, in the same list'
    return [{ at, fault: { code: 'no-effect', message: 'no list before it has a score', hint } }]
  }
  if (rule.kind !== 'dnsbl' || rule.score === undefined) return []
  if (list.slice(index + 1).some((one) => one.rule.kind === 'dnsbl-score')) return []
  const hint = 'write `reject dnsbl-score N` behind it, in the same list'
  return [{ at, fault: { code: 'no-effect', message: 'nothing asks for the score of this list', hint } }]
}

function decidesAlways({ rule }: Restriction): boolean {
  return (rule.kind === 'permit' || rule.kind === 'reply') && rule.when === undefined
}

function asksDns({ rule }: Restriction): boolean {
  switch (rule.kind) {
    case 'dnsbl':
      return rule.score === undefined
    case 'dnsbl-score':
    case 'client':
      return true
    case 'helo':
      return rule.fault === 'unknown'
    case 'sender':
    case 'recipient':
      return rule.fault === 'unknown-domain'
    case 'permit':
    case 'reply':
    case 'check':
    case 'unauthorised-destination':
    case 'pipelining':
    case 'plaintext':
    case 'sleep':
    case 'greylist':
      return false
  }
}

function permitsNetworks({ rule }: Restriction): boolean {
  return rule.kind === 'permit' && rule.when?.kind === 'table' && rule.when.subject === 'client'
}

/** Every listener of the second is one of the first, as they are written. */
function covers(one: Restriction, other: Restriction): boolean {
  return one.for === undefined || (other.for !== undefined && choiceKey(one.for) === choiceKey(other.for))
}

function meet(one: Restriction, other: Restriction): boolean {
  return covers(one, other) || covers(other, one)
}

function choiceKey(choice: ListenerChoice): string {
  return (choice.kind === 'tag' ? `tag ${choice.tag}` : `${choice.on} ${choice.port ?? ''}`).toLowerCase()
}
