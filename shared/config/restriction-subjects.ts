import type { RestrictionRule, RestrictionSubject } from './model.ts'

/** What a restriction has to know to say anything. */
export function subjectsOf(rule: RestrictionRule): readonly RestrictionSubject[] {
  switch (rule.kind) {
    case 'permit':
    case 'reply':
      return rule.when?.kind === 'table' ? [rule.when.subject] : []
    case 'check':
      return rule.subject === 'certificate' ? [] : [rule.subject]
    case 'dnsbl':
      return [rule.of ?? 'client']
    case 'dnsbl-score':
    case 'client':
      return ['client']
    case 'helo':
    case 'sender':
    case 'recipient':
      return [rule.kind]
    case 'unauthorised-destination':
    case 'greylist':
      return ['recipient']
    case 'pipelining':
    case 'plaintext':
    case 'sleep':
      return []
  }
}
