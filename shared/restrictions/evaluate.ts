import type { Restriction } from '../config/model.ts'
import type { Reply } from '../mail/reply.ts'
import { checkAccess } from './access-table.ts'
import { checkAddress, checkDestination } from './address-check.ts'
import { checkClient } from './client-check.ts'
import { holds } from './condition.ts'
import { askAhead, checkDnsbl, dnsblScore } from './dnsbl.ts'
import { checkGreylist } from './greylisting.ts'
import { checkHelo } from './helo-check.ts'
import type { Finding, Means, Question } from './question.ts'
import { about, parseReply } from './replies.ts'

/** What a list said, and which of its restrictions did; nothing: none of them. */
export type Verdict =
  | { readonly kind: 'passed'; readonly by?: Restriction }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly by: Restriction }

/**
 * One list, in order: the first restriction that decides ends it. `onFinding` is told what each of them found.
 * @throws TableError: answer 451
 */
export async function evaluate(
  list: readonly Restriction[],
  question: Question,
  means: Means,
  onFinding: (restriction: Restriction, finding: Finding) => void = () => undefined,
): Promise<Verdict> {
  const firstList = list.findIndex(({ rule }) => rule.kind === 'dnsbl')
  for (const [index, restriction] of list.entries()) {
    if (index === firstList) askAhead(list.slice(index), question, means)
    const finding = await findingOf(restriction, list.slice(0, index), question, means)
    onFinding(restriction, finding)
    if (finding === 'permit') return { kind: 'passed', by: restriction }
    if (finding !== 'next') return { kind: 'refused', reply: finding, by: restriction }
  }
  return { kind: 'passed' }
}

/** @param before the restrictions above it, whose scores count */
async function findingOf(
  restriction: Restriction,
  before: readonly Restriction[],
  question: Question,
  means: Means,
): Promise<Finding> {
  const { rule } = restriction
  switch (rule.kind) {
    case 'permit':
      return rule.when === undefined || (await holds(rule.when, question, means)) ? 'permit' : 'next'
    case 'reply':
      return rule.when === undefined || (await holds(rule.when, question, means)) ? parseReply(rule.reply) : 'next'
    case 'check':
      return checkAccess(rule, question, means)
    case 'dnsbl':
      return rule.score === undefined ? checkDnsbl(rule, question, means) : 'next'
    case 'dnsbl-score':
      return (await dnsblScore(before, question, means)) >= rule.atLeast ? blocked(before) : 'next'
    case 'client':
      return checkClient(rule, question)
    case 'helo':
      return checkHelo(rule, question, means)
    case 'sender':
    case 'recipient':
      return checkAddress(rule, question, means)
    case 'unauthorised-destination':
      return checkDestination(question)
    case 'pipelining':
      if (!question.pipelined) return 'next'
      return about('client', question, [503, '5.5.0'], 'Improper use of SMTP command pipelining')
    case 'plaintext':
      return question.secure ? 'next' : about('client', question, [450, '4.7.1'], 'Session encryption is required')
    case 'sleep':
      if (question.firstTime(restriction)) await means.sleep(rule.ms)
      return 'next'
    case 'greylist':
      return checkGreylist(rule, question, means)
  }
}

function blocked(before: readonly Restriction[]): Reply {
  const zones = before.flatMap(({ rule }) => (rule.kind === 'dnsbl' && rule.score !== undefined ? [rule.zone] : []))
  return { code: 554, enhanced: '5.7.1', text: `Service unavailable; blocked using ${zones.join(', ')}` }
}
