import type { FullMailboxRule } from '../../shared/config/model.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import { classifyReply } from '../../shared/mail/reply-class.ts'
import { isPositive } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'

/** Carries out `mailbox full`: a refusal for want of room is of the kind the rule says; its words stay. */
export function byFullMailboxRule(
  attempts: readonly DeliveryAttempt[],
  rule: FullMailboxRule,
  ageMs: number,
): readonly DeliveryAttempt[] {
  if (rule.kind === 'as-said') return attempts
  const forGood = rule.kind === 'permanent' || (rule.forMs !== undefined && ageMs >= rule.forMs)
  return attempts.map((attempt) => ({ ...attempt, reply: ruled(attempt.reply, forGood) }))
}

/** RFC 3463 X.2.2. */
function ruled(reply: Reply, forGood: boolean): Reply {
  if (isPositive(reply) || classifyReply(reply) !== 'mailbox-full') return reply
  return forGood ? { ...reply, code: 552, enhanced: '5.2.2' } : { ...reply, code: 452, enhanced: '4.2.2' }
}
