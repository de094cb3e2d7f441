import type { RestrictionRule } from '../config/model.ts'
import { about } from './replies.ts'
import type { Finding, Question } from './question.ts'

type ClientRule = Extract<RestrictionRule, { readonly kind: 'client' }>

/** `unknown`: address and name do not point to each other; `unnamed`: the address has no name at all. */
export async function checkClient({ fault }: ClientRule, question: Question): Promise<Finding> {
  const { name, forward } = await question.client.name()
  if (fault === 'unnamed') {
    if (name !== undefined) return 'next'
    return about('client', question, [450, '4.7.1'], 'cannot find your reverse hostname')
  }
  return forward === 'pass' ? 'next' : about('client', question, [450, '4.7.1'], 'cannot find your hostname')
}
